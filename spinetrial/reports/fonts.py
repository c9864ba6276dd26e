"""The embedded typeface: Noto Sans SC holds Latin, digits and Chinese, so one family prints every language."""

from __future__ import annotations

from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

REGULAR = "NotoSansSC"
BOLD = "NotoSansSC-Bold"

_FOLDER = Path(__file__).with_name("fonts")
_FILES = {REGULAR: "NotoSansSC-Regular.ttf", BOLD: "NotoSansSC-Bold.ttf"}


def register() -> None:
    """Make the fonts known to reportlab. Called before every document; the second time costs nothing."""
    known = pdfmetrics.getRegisteredFontNames()
    for name, file in _FILES.items():
        if name not in known:
            pdfmetrics.registerFont(TTFont(name, str(_FOLDER / file)))
    # Markup such as <b> inside a paragraph looks the bold face up by family.
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
