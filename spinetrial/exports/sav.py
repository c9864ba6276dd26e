"""Tables as SPSS files with variable and value labels.

pyreadstat takes a data frame and a path, and stamps the file with the time of writing; the stamp is overwritten with
the time of the data version, so that the same version gives the same bytes.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spinetrial.analysis.data import Column, Kind, Table, Value
from spinetrial.exports.csvfile import plain_text

#: SPSS cuts longer labels; bytes, not characters.
_VARIABLE_LABEL, _VALUE_LABEL = 255, 120
#: Where a .sav header keeps the date (9 bytes) and time (8 bytes) of writing.
_STAMP = slice(92, 109)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_YES_NO = {1.0: "Yes", 0.0: "No"}


def write_sav(table: Table, label: str, stamp: datetime) -> bytes:
    """The table as .sav bytes; `stamp` is the time in its header. Dates are dates, times are UTC."""
    import pandas  # Half a second to load, and only exports need it.
    import pyreadstat

    cells = {
        column.name: _series(pandas, column, [row[place] for row in table.rows])
        for place, column in enumerate(table.columns)
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.sav"
        pyreadstat.write_sav(
            pandas.DataFrame(cells),
            path,
            file_label=_cut(label, 64),
            column_labels={column.name: _cut(_variable_label(column), _VARIABLE_LABEL) for column in table.columns},
            variable_value_labels={c.name: labels for c in table.columns if (labels := _value_labels(c))},
            variable_format={c.name: _FORMATS[c.kind] for c in table.columns if c.kind in _FORMATS},
            variable_measure={
                c.name: "scale" if c.kind in _SCALES and not c.codes else "nominal" for c in table.columns
            },
            row_compress=True,
        )
        content = bytearray(path.read_bytes())
    moment = stamp.astimezone(UTC)
    text = f"{moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year % 100:02d}{moment:%H:%M:%S}"
    content[_STAMP] = text.encode("ascii")
    return bytes(content)


_FORMATS = {Kind.DATE: "SDATE10", Kind.DATETIME: "DATETIME20"}
_SCALES = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.DATE, Kind.DATETIME})


def _series(pandas: Any, column: Column, values: list[Value]) -> Any:
    match column.kind:
        case Kind.INTEGER | Kind.DECIMAL | Kind.BOOLEAN:
            return pandas.Series([None if v is None else float(v) for v in values], dtype="float64")  # type: ignore[arg-type]
        case Kind.DATE | Kind.DATETIME:
            moments = [None if not v else datetime.fromisoformat(str(v)).replace(tzinfo=None) for v in values]
            return pandas.Series(moments, dtype="datetime64[us]")
    return pandas.Series([plain_text(value) for value in values], dtype="object")


def _variable_label(column: Column) -> str:
    return f"{column.label} [{column.unit}]" if column.unit else column.label


def _value_labels(column: Column) -> dict[Any, str]:
    if column.kind is Kind.BOOLEAN:
        return dict(_YES_NO)
    if column.kind is Kind.INTEGER:
        return {float(code): _cut(words, _VALUE_LABEL) for code, words in column.codes}
    if column.kind is Kind.TEXT:
        return {code: _cut(words, _VALUE_LABEL) for code, words in column.codes}
    return {}


def _cut(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, without half a character at the end."""
    return text.encode("utf-8")[:limit].decode("utf-8", "ignore")
