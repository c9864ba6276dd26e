"""The back of a body with one place of the spine marked: for people who do not know their vertebrae."""

from __future__ import annotations

from django.utils.translation import gettext as _

from spinetrial.terminology.vertebrae import LEVELS

#: Height in the drawing of the first and the last vertebra.
_TOP, _BOTTOM = 92, 330
_MIDDLE = 130


def body_words(level: str) -> str:
    """Where the place is, in everyday words; "" for no level."""
    if level not in LEVELS:
        return ""
    region, number = level[0], int(level[1:])
    if region == "C":
        return _("the back of the neck")
    if region == "T":
        if number <= 4:
            return _("the upper back, between the shoulder blades")
        return _("the middle of the back") if number <= 8 else _("the lower part of the chest, at the back")
    if region == "L":
        return _("the lower back, at the waist or below it")
    return _("the tail of the spine, above the buttocks")


def marked_body(level: str) -> str:
    """The drawing as an SVG document; without a mark when there is no level."""
    step = (_BOTTOM - _TOP) / (len(LEVELS) - 1)
    spine = "".join(
        f'<rect x="{_MIDDLE - 7}" y="{_TOP + n * step - 2.6:.1f}" width="14" height="5.2" rx="2"/>'
        for n in range(len(LEVELS))
    )
    mark = ""
    if level in LEVELS:
        y = f"{_TOP + LEVELS.index(level) * step:.1f}"
        mark = (
            f'<circle cx="{_MIDDLE}" cy="{y}" r="22" fill="#b01f1f" fill-opacity=".18" stroke="#b01f1f"'
            f' stroke-width="4"/><circle cx="{_MIDDLE}" cy="{y}" r="6" fill="#b01f1f"/>'
            f'<path d="M236 {y}H160m12 -10l-12 10l12 10" fill="none" stroke="#b01f1f" stroke-width="4"'
            ' stroke-linecap="round" stroke-linejoin="round"/>'
        )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 260 420" width="260" height="420">'
        '<g fill="#e7edf0" stroke="#4c5a66" stroke-width="2.5" stroke-linejoin="round">'
        # head, neck and trunk from behind, then the arms
        '<path d="M70 128C52 136 46 160 42 200L30 300C28 316 44 318 47 304L66 214z"/>'
        '<path d="M190 128C208 136 214 160 218 200L230 300C232 316 216 318 213 304L194 214z"/>'
        '<path d="M114 78L114 100C104 114 78 116 66 132C60 146 64 190 70 220C74 244 76 256 72 276C66 300 62 322'
        " 62 346L66 410H126L130 372L134 410H194L198 346C198 322 194 300 188 276C184 256 186 244 190 220C196 190"
        ' 200 146 194 132C182 116 156 114 146 100L146 78z"/>'
        '<ellipse cx="130" cy="50" rx="31" ry="38"/></g>'
        f'<g fill="#fff" stroke="#7d8b96" stroke-width="1">{spine}</g>{mark}</svg>'
    )
