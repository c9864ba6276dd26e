"""Field encryption for names and contacts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.encode()) for key in keys])


def encrypt(text: str) -> str:
    """Encrypt with the current (first) field key."""
    return _cipher(tuple(settings.FIELD_KEYS)).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """Decrypt with whichever configured key fits. Raises cryptography.fernet.InvalidToken when none does."""
    return _cipher(tuple(settings.FIELD_KEYS)).decrypt(token.encode()).decode()


def rekeyed(token: str) -> str:
    """`token` itself if the first field key opens it, else its text encrypted anew with the first key.

    Raises cryptography.fernet.InvalidToken when no configured key opens it.
    """
    try:
        _cipher(tuple(settings.FIELD_KEYS[:1])).decrypt(token.encode())
    except InvalidToken:
        return encrypt(decrypt(token))
    return token


class EncryptedTextField(models.TextField):
    """Text stored encrypted. Cannot be searched; an unchanged value keeps its token only if not saved again."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return encrypt(value) if value else value

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt(value) if value else value
