"""The responder table once more, from the exported CSV files alone: no code of the application is used here.

Response by the consensus, exact interval by summing binomial terms, Miettinen-Nurminen by bisection with a restricted
likelihood maximised by ternary search: slow and simple on purpose.
"""

from __future__ import annotations

import csv
import io
import math
import zipfile
from fractions import Fraction

Z = 1.959963984540054


def read(archive: bytes, name: str) -> list[dict[str, str]]:
    """A CSV file of the export as rows; the apostrophe that guards spreadsheets is taken away."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        text = files.read(name).decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [{key: value[1:] if value.startswith("'") else value for key, value in row.items()} for row in rows]


def response(p0: str, m0: str, p1: str, m1: str) -> str:
    """Category by the literal reading; exact fractions; empty text is missing."""
    if "" in (p0, m0, p1, m1) or Fraction(p0) == 0:
        return "NE"
    b, a = Fraction(p0), Fraction(p1)
    before, after = Fraction(m0), Fraction(m1)
    change = a - b
    rose25 = after > 0 if before == 0 else after >= before * Fraction(5, 4)
    fell25 = before > 0 and after <= before * Fraction(3, 4)
    if a == 0 and after <= before:
        return "CR"
    if (change <= -2 and after <= before) or (fell25 and change <= 0):
        return "PR"
    if change >= 2 and not fell25:
        return "PP"  # with or without a rise of OMED (D5)
    if rose25 and change in (0, 1):
        return "PP"
    return "IR"


def responders(archive: bytes, visit: str, only_pp: bool = False) -> dict[str, tuple[int, int]]:
    """Arm -> (responders, participants)."""
    people = {row["subject"]: row for row in read(archive, "analysis/csv/adsl.csv")}
    counts: dict[str, list[int]] = {}
    for row in read(archive, "analysis/csv/adrs.csv"):
        person = people[row["subject"]]
        if row["visit"] != visit or (only_pp and person["pp"] != "1"):
            continue
        category = response(person["nrs_baseline"], person["omed_baseline"], row["nrs"], row["omed"])
        # Retreatment of the index site shows in the reason only; its score is kept (clinical rule 8).
        good = category in ("CR", "PR") and row["ne_reason"] != "intervention"
        tally = counts.setdefault(person["arm"], [0, 0])
        tally[0] += good
        tally[1] += 1
    return {arm: (x, n) for arm, (x, n) in counts.items()}


def exact_interval(x: int, n: int) -> tuple[float, float]:
    """Clopper-Pearson by bisection on binomial tails."""

    def at_least(p: float) -> float:
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(x, n + 1))

    def at_most(p: float) -> float:
        return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(x + 1))

    return (
        0.0 if x == 0 else bisect(lambda p: at_least(p) - 0.025, 0.0, 1.0),
        1.0 if x == n else bisect(lambda p: 0.025 - at_most(p), 0.0, 1.0),
    )


def bisect(rising, low: float, high: float) -> float:
    """Root of a function that rises."""
    for _ in range(100):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def score_z(x1: int, n1: int, x0: int, n0: int, difference: float) -> float:
    """Miettinen-Nurminen score of H0: p1 - p0 = difference."""

    def likelihood(p0: float) -> float:
        total = 0.0
        for x, n, p in ((x1, n1, p0 + difference), (x0, n0, p0)):
            for count, rate in ((x, p), (n - x, 1 - p)):
                if count:
                    total += count * math.log(rate) if rate > 0 else -1e9 * count
        return total

    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)
    for _ in range(200):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if likelihood(a) < likelihood(b):
            low = a
        else:
            high = b
    p0 = (low + high) / 2
    p1 = p0 + difference
    total = n1 + n0
    variance = (p1 * (1 - p1) / n1 + p0 * (1 - p0) / n0) * total / (total - 1)
    return (x1 / n1 - x0 / n0 - difference) / math.sqrt(max(variance, 1e-18))


def miettinen_nurminen(x1: int, n1: int, x0: int, n0: int) -> tuple[float, float]:
    """95 % interval: the differences the two-sided score test does not reject."""
    observed = x1 / n1 - x0 / n0
    lower = bisect(lambda d: Z - score_z(x1, n1, x0, n0, d), -0.9999999, observed)
    upper = bisect(lambda d: -Z - score_z(x1, n1, x0, n0, d), observed, 0.9999999)
    return lower, upper


def percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def points(value: float) -> str:
    text = f"{abs(value) * 100:.1f}"
    return text if text == "0.0" else ("−" if value < 0 else "+") + text


def expected_lines(archive: bytes, visit: str = "M3", study: str = "LOCAL", control: str = "WHOLE") -> list[str]:
    """What the English report must print: rates with intervals, and the differences of ITT and PP."""
    lines = []
    for only_pp in (False, True):
        counts = responders(archive, visit, only_pp)
        for arm in (study, control):
            x, n = counts[arm]
            low, high = exact_interval(x, n)
            lines.append(f"{x}/{n} ({percent(x / n)}; {percent(low)} to {percent(high)})")
        (x1, n1), (x0, n0) = counts[study], counts[control]
        low, high = miettinen_nurminen(x1, n1, x0, n0)
        lines.append(f"{points(x1 / n1 - x0 / n0)} ({points(low)} to {points(high)})")
    return lines


def pdf_text(pdf: bytes) -> str:
    """All text of a PDF without white space: cells wrap, numbers do not change."""
    import pypdf

    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return "".join("".join(page.extract_text().split()) for page in pages)


def squeezed(text: str) -> str:
    return "".join(text.split())
