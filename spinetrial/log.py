"""Log lines without the content of records."""

import logging
import re
from datetime import UTC, datetime
from types import TracebackType

# PostgreSQL quotes the offending values in the lines that follow its message.
_VALUES = re.compile(r"^(DETAIL|LINE \d+|CONTEXT|Failing row contains)\b.*$", re.MULTILINE)


class PlainFormatter(logging.Formatter):
    """One line per record with a UTC time; database error details, which quote values, are cut out."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the time of the record in UTC."""
        return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return the traceback text with the quoted values replaced."""
        return _VALUES.sub("[values not logged]", super().formatException(ei))
