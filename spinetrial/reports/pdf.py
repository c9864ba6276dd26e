"""Drawing a report as PDF: A4, embedded fonts, vector figures, and the same bytes for the same document."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    LongTable,
    PageTemplate,
    Spacer,
    TableStyle,
)
from reportlab.platypus import Paragraph as Lines

from spinetrial.reports.document import Block, Document, Facts, Figure, Grid, Heading, Paragraph
from spinetrial.reports.figures.drawing import INK, RULE, SOFT, fit
from spinetrial.reports.fonts import BOLD, REGULAR, register

_MARGIN = 20 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_HEAD = HexColor("#eceff1")
_ACCENT = HexColor("#0b5a70")
_STRIP = HexColor("#1c2730")
#: Tables up to this size stay on one page with caption and notes.
_KEPT_ROWS = 26


class TextBlock(Lines):
    """A paragraph that in Chinese breaks between characters, but never inside a Latin word or a number."""

    def breakLinesCJK(self, maxWidths: float | Sequence[float]) -> object:
        """As reportlab's, with the lines of `fit`; several fonts in one paragraph are left to reportlab."""
        widths = maxWidths if isinstance(maxWidths, Sequence) else [maxWidths]
        (frag, *more), bullet = self.frags or [None], getattr(self, "bulletText", None)
        if frag is None or more or bullet or hasattr(frag, "cbDefn") or len(set(widths)) > 1:
            return super().breakLinesCJK(maxWidths)
        self.height = 0
        words = frag.text if hasattr(frag, "text") else "".join(getattr(frag, "words", []))
        lines = fit(words, widths[0], frag.fontSize, frag.fontName == BOLD)
        placed = [(widths[0] - stringWidth(line, frag.fontName, frag.fontSize), [line]) for line in lines]
        return frag.clone(kind=0, lines=placed, ascent=frag.fontSize, descent=-0.2 * frag.fontSize)


def render(document: Document) -> bytes:
    """The PDF of a document. No clock and no random identifier enters: the same document gives the same bytes."""
    register()
    styles = _Styles(document.language)
    story: list[Flowable] = [
        TextBlock(escape(document.subtitle), styles.eyebrow),
        TextBlock(escape(document.title), styles.title),
        Spacer(1, 3 * mm),
    ]
    heading: list[Flowable] = []
    for block in document.blocks:
        if isinstance(block, Heading):
            style = styles.heading if block.level == 1 else styles.subheading
            # A part that follows its chapter at once stands under the chapter's heading.
            heading = [*(heading if block.level > 1 else []), TextBlock(escape(block.text), style)]
            continue
        first, *others = _groups(block, styles)
        if others:  # a table that may break starts with some of its rows
            story.append(CondPageBreak(70 * mm))
        story.extend([KeepTogether([*heading, *first]), *(flowable for group in others for flowable in group)])
        heading = []
    target = BytesIO()
    template = BaseDocTemplate(
        target,
        pagesize=A4,
        title=document.title,
        subject=document.footer,
        author="SpineTrial",
        creator="SpineTrial",
        lang=document.language,
        invariant=1,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
    )
    frame = Frame(_MARGIN, 20 * mm, _WIDTH, A4[1] - 42 * mm, 0, 0, 0, 0)

    def decorate(canvas: Canvas, _template: BaseDocTemplate) -> None:
        _page(canvas, document)

    template.addPageTemplates([PageTemplate(id="page", frames=[frame], onPage=decorate)])
    template.build(story, canvasmaker=_NumberedCanvas)
    return target.getvalue()


class _NumberedCanvas(Canvas):
    """A canvas that knows the number of pages when it writes the page numbers."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._pages: list[dict[str, object]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for page in self._pages:
            self.__dict__.update(page)
            self.setFont(REGULAR, 7)
            self.setFillColor(SOFT)
            self.drawRightString(A4[0] - _MARGIN, 11 * mm, f"{self._pageNumber} / {len(self._pages)}")
            super().showPage()
        super().save()


def _page(canvas: Canvas, document: Document) -> None:
    canvas.saveState()
    canvas.setFont(REGULAR, 7)
    canvas.setFillColor(SOFT)
    canvas.drawString(_MARGIN, 11 * mm, document.footer)
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.4)
    canvas.line(_MARGIN, 15 * mm, A4[0] - _MARGIN, 15 * mm)
    if document.strip:
        canvas.setFillColor(_STRIP)
        canvas.rect(_MARGIN, A4[1] - 15 * mm, _WIDTH, 6 * mm, stroke=0, fill=1)
        canvas.setFillColor(white)
        canvas.setFont(BOLD, 8)
        canvas.drawCentredString(A4[0] / 2, A4[1] - 13 * mm, document.strip)
    canvas.restoreState()


class _Styles:
    """Paragraph styles; Chinese breaks between characters, not at spaces."""

    def __init__(self, language: str) -> None:
        wrap = "CJK" if language.startswith("zh") else None

        def style(name: str, size: float, **more: object) -> ParagraphStyle:
            options: dict[str, object] = {"fontName": REGULAR, "textColor": INK, "wordWrap": wrap, **more}
            return ParagraphStyle(name, fontSize=size, leading=size * 1.4, **options)

        self.eyebrow = style("eyebrow", 9, textColor=SOFT)
        self.title = style("title", 16, fontName=BOLD)
        self.heading = style("heading", 12, fontName=BOLD, textColor=_ACCENT, spaceBefore=14, spaceAfter=4)
        self.subheading = style("subheading", 10, fontName=BOLD, spaceBefore=10, spaceAfter=3)
        self.plain = style("plain", 9, spaceAfter=4)
        self.note = style("note", 7.5, textColor=SOFT, spaceBefore=2, spaceAfter=4)
        self.finding = style("finding", 11, fontName=BOLD, spaceBefore=2, spaceAfter=6)
        self.warning = style(
            "warning", 9, borderColor=_STRIP, borderWidth=0.8, borderPadding=5, spaceBefore=10, spaceAfter=8
        )
        self.caption = style("caption", 8.5, fontName=BOLD, spaceBefore=8, spaceAfter=3)
        self.cell = style("cell", 8)
        self.number = style("number", 8, alignment=TA_CENTER)
        self.head = style("head", 7.5, fontName=BOLD, alignment=TA_CENTER)
        self.head_first = style("head_first", 7.5, fontName=BOLD)
        self.group = style("group", 8, fontName=BOLD)


def _groups(block: Block, styles: _Styles) -> list[list[Flowable]]:
    """The flowables of a block; those of the first group stay on one page."""
    match block:
        case Paragraph(text, tone):
            return [[TextBlock(escape(text), getattr(styles, tone))]]
        case Facts(pairs):
            return [[_facts(pairs, styles)]]
        case Grid():
            return _grid(block, styles)
        case Figure(_name, caption, drawing):
            return [[TextBlock(escape(caption), styles.caption), drawing, Spacer(1, 2 * mm)]]
    raise TypeError(f"no way to print {type(block).__name__}")


def _facts(pairs: tuple[tuple[str, str], ...], styles: _Styles) -> Flowable:
    rows = [[TextBlock(escape(label), styles.note), TextBlock(escape(value), styles.cell)] for label, value in pairs]
    table = LongTable(rows, colWidths=[_WIDTH * 0.24, _WIDTH * 0.76])
    table.setStyle(
        TableStyle(
            [
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def _grid(grid: Grid, styles: _Styles) -> list[list[Flowable]]:
    total = sum(grid.shares)
    head, body = (styles.head_first, styles.cell) if grid.text else (styles.head, styles.number)
    rows = [[TextBlock(escape(text), head if i else styles.head_first) for i, text in enumerate(grid.header)]]
    commands = [
        ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, INK),
        ("LINEBELOW", (0, -1), (-1, -1), 0.8, INK),
        ("LINEBELOW", (0, 1), (-1, -2), 0.25, RULE),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("VALIGN", (0, 1), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ]
    for number, row in enumerate(grid.rows):
        first = styles.group if number in grid.groups else styles.cell
        indent = "&nbsp;" * (len(row[0]) - len(row[0].lstrip(" ")))
        cells = [TextBlock(indent + escape(row[0].strip()), first)]
        cells += [TextBlock(escape(text), body) for text in row[1:]]
        rows.append(cells)
    table = LongTable(rows, colWidths=[_WIDTH * share / total for share in grid.shares], repeatRows=1)
    table.setStyle(TableStyle(commands))
    caption = TextBlock(escape(grid.caption), styles.caption)
    notes = [TextBlock(escape(note), styles.note) for note in grid.notes]
    if len(rows) <= _KEPT_ROWS:
        return [[caption, table, *notes]]
    return [[caption], [table, *notes]]
