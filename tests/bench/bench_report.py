"""Where the time of the full report goes: 66 participants in 30 s, 2,000 in 3 minutes; both languages, page and PDF."""

import random
import time
from itertools import pairwise

import pytest

from spinetrial.analysis.groups import Arms
from spinetrial.analysis.results import results
from spinetrial.protocol import CURRENT
from spinetrial.reports.content import build
from spinetrial.reports.models import LANGUAGES
from spinetrial.reports.page import page_of
from spinetrial.reports.pdf import render
from spinetrial.reports.writing import Source
from spinetrial.stats.selftest import run_self_test
from spinetrial.terminology import ctcae
from tests.analysis.trial import Patient, make_snapshot

LIMITS = {66: 30.0, 2000: 180.0}
ARMS = [arm.code for arm in CURRENT.arms]
TERMS = list(ctcae.terms())[:40]


def invented(number: int, rng: random.Random) -> Patient:
    """A participant with the usual ways of a trial: responses, missing visits, deaths, imaging, adverse events."""
    patient = Patient(
        site=rng.choice(["NK", "SH"]), number=number, arm=ARMS[number % 2], nrs=rng.randint(4, 9),
        omed=rng.choice([0, 20, 60, 120]), fractions=rng.choices([10, 9, 7, 0], [90, 4, 4, 2])[0],
    )  # fmt: skip
    if rng.random() < 0.3:
        patient.death = patient.due(rng.choice(["M3", "M6", "M12"]))
    for visit in ("W2", "M3", "M6", "M12"):
        if patient.death and patient.due(visit) >= patient.death:
            break
        if rng.random() < 0.12:
            patient.missed[visit] = rng.choice(["too_ill", "refused"])
            continue
        score = max(0, patient.nrs - rng.choice([0, 1, 2, 3, 5]))
        patient.visits[visit] = (score, max(0, patient.omed + rng.choice([-20, 0, 0, 20])), rng.randint(-2, 5))
        new = rng.choices(["none", "new"], [92, 8])[0]
        patient.imaging[visit] = (rng.randint(0, 9), new, rng.choices(["controlled", "progression"], [93, 7])[0])
    patient.events = [(code, rng.choices([1, 2, 3], [6, 3, 1])[0]) for code in rng.sample(TERMS, rng.randint(0, 5))]
    return patient


@pytest.mark.parametrize("participants", LIMITS)
def test_the_full_report_comes_in_time(participants, capsys):
    rng = random.Random(participants)
    snapshot = make_snapshot([invented(number, rng) for number in range(1, participants + 1)])
    marks: list[tuple[str, float]] = []

    def begins(part: str) -> None:
        marks.append((part, time.perf_counter()))

    begins("self-test")
    test = run_self_test()
    found = results(snapshot, Arms.SHOWN, begins)
    for language in LANGUAGES:
        begins(f"words and figures, {language}")
        document = build(found, Source(1, None, "1.0", test), language)
        begins(f"page, {language}")
        page_of(document)
        begins(f"PDF, {language}")
        size = len(render(document))
    begins("")
    total = marks[-1][1] - marks[0][1]
    with capsys.disabled():
        print(f"\nfull report of {participants} participants: {total:.1f} s (limit {LIMITS[participants]:.0f} s)")
        for (part, start), (_next, end) in pairwise(marks):
            print(f"  {part:28} {end - start:6.1f} s  {(end - start) / total:5.0%}")
        print(f"  PDF {size // 1024} kB")
    assert test.passed
    assert total < LIMITS[participants]
