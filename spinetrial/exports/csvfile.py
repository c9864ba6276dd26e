"""Tables as CSV, safe to open in a spreadsheet.

UTF-8 with byte order mark, because spreadsheets otherwise read Chinese wrongly; R: `fileEncoding="UTF-8-BOM"`.
Commas, CRLF, RFC 4180 quoting; nothing for missing, 1 and 0 for yes and no, lists joined by ";".

A text a spreadsheet could take for a formula gets one apostrophe in front (OWASP, CSV injection). So does a text
that starts with an apostrophe itself: whoever takes one leading apostrophe away always has the text as entered.
"""

from __future__ import annotations

import csv
import io

from spinetrial.analysis.data import Kind, Table, Value

_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def write_csv(table: Table) -> bytes:
    """The table with a header of column names."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    kinds = [column.kind for column in table.columns]
    writer.writerows([cell(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in table.rows)
    return target.getvalue().encode("utf-8-sig")


def cell(value: Value, kind: Kind) -> str:
    """One value as a CSV cell."""
    text = plain_text(value)
    return f"'{text}" if kind in (Kind.TEXT, Kind.LIST) and text.startswith(_RISKY) else text


def plain_text(value: Value) -> str:
    """One value as text, before a spreadsheet is thought of."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        return ";".join(plain_text(each) for each in value)
    return str(value)
