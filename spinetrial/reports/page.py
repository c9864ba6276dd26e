"""A document as the web page shows it: the same blocks as in the PDF, as plain data."""

from __future__ import annotations

import base64
import html
import re
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.pdfbase.pdfmetrics import stringWidth

from spinetrial.reports.document import Document, Facts, Figure, Grid, Heading, Paragraph
from spinetrial.reports.fonts import BOLD


def page_of(document: Document) -> dict[str, Any]:
    """Title, subtitle, strip and blocks of a document, in JSON's types. Headings carry an anchor."""
    blocks = [block_of(block) for block in document.blocks]
    for number, block in enumerate(blocks):
        if block["kind"] == "heading":
            block["anchor"] = f"section-{number}"
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "strip": document.strip,
        "footer": document.footer,
        "blocks": blocks,
    }


def block_of(block: object) -> dict[str, Any]:
    """A block as the template takes it."""
    match block:
        case Heading(text, level):
            return {"kind": "heading", "text": text, "level": level}
        case Paragraph(text, tone):
            return {"kind": "paragraph", "text": text, "tone": tone}
        case Facts(pairs):
            return {"kind": "facts", "pairs": [list(pair) for pair in pairs]}
        case Grid():
            rows = [
                {
                    "head": row[0].strip(),
                    "inner": row[0].startswith(" "),
                    "cells": list(row[1:]),
                    "group": number in block.groups,
                }
                for number, row in enumerate(block.rows)
            ]
            return {
                "kind": "grid",
                "caption": block.caption,
                "header": list(block.header),
                "rows": rows,
                "notes": list(block.notes),
                "text": block.text,
            }
        case Figure(name, caption, drawing):
            image = base64.b64encode(svg(drawing).encode()).decode()
            return {"kind": "figure", "name": name, "caption": caption, "image": f"data:image/svg+xml;base64,{image}"}
    raise TypeError(f"no way to show {type(block).__name__}")


_STYLE = re.compile(r' style="([^"]*)"')
_TEXT = re.compile(r'<text ([^>]*font-family="(NotoSansSC(?:-Bold)?)" font-size="([\d.]+)px"[^>]*)>([^<]*)</text>')


def svg(drawing: Any) -> str:
    """The drawing of the PDF as SVG for the page.

    Presentation attributes, because a style attribute would fall to the CSP. The reader's machine may lack the
    typeface, so every text says how wide it was laid out.
    """

    def attributes(match: re.Match[str]) -> str:
        pairs = [part.split(":", 1) for part in match[1].split(";") if ":" in part]
        return "".join(f' {name.strip().replace("dash-array", "dasharray")}="{value.strip()}"' for name, value in pairs)

    def sized(match: re.Match[str]) -> str:
        rest, face, size, words = match.groups()
        width = stringWidth(html.unescape(words), face, float(size))
        family = f'font-family="Noto Sans SC, sans-serif" font-weight="{"bold" if face == BOLD else "normal"}"'
        rest = rest.replace(f'font-family="{face}"', family)
        return f'<text textLength="{width:.2f}" lengthAdjust="spacingAndGlyphs" {rest}>{words}</text>'

    return _TEXT.sub(sized, _STYLE.sub(attributes, renderSVG.drawToString(drawing)))
