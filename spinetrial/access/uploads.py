"""A limit of what is accepted as an upload at all, before the form says what it takes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

from spinetrial.access.gate import may
from spinetrial.access.models import User

#: Where more is taken: URL name -> bytes, and the action that lets a person send so much.
LARGER = {"meddra": (80 * 1024 * 1024, "ae.code")}


class CappedUpload(FileUploadHandler):
    """Refuses an upload larger than any form takes; Django's own limit leaves files out."""

    def handle_raw_input(self, input_data: Any, META: Any, content_length: int, *rest: Any) -> None:
        if content_length > self._limit():
            raise RequestDataTooBig("The upload is too large.")

    def _limit(self) -> int:
        match = getattr(self.request, "resolver_match", None)
        user = getattr(self.request, "user", None)
        larger, action = LARGER.get(match.url_name if match else "", (0, ""))
        if larger and isinstance(user, User) and may(user, action):
            return larger
        return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
