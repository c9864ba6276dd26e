"""The safety review: counts made by hand, who is behind them, what the masked see, the watch, narrative and listing."""

import csv
import io
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from adverse_events.models import AdverseEvent
from adverse_events.safety import Place, tabulate
from followup.models import ImagedVertebra, Imaging
from randomization.models import AllocatedArm
from spinetrial.analysis.dose_watch import Watched, watched
from spinetrial.audit.acting import acting
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT
from tests.adverse_events.helpers import AWARE, DERMATITIS, FATIGUE, MYELITIS, SERIOUS, SPINAL_FRACTURE, event
from tests.cast import SETUP
from tests.followup.helpers import RT_END, baseline, milestones, registered, treated

GENERAL = "General disorders and administration site conditions"
INJURY = "Injury, poisoning and procedural complications"


@pytest.fixture
def rows(cast):
    """Three participants irradiated, one not; eight events.

    Fatigue: A1 grades 1 and 3 (worst 3), A2 grade 2, B1 grade 3; all possibly related but A2's. Dermatitis: A1 twice
    grade 1. Spinal fracture: A2 grade 2, serious. The one not irradiated has fatigue of grade 3, which counts nowhere.
    """
    a1, a2 = treated(cast.coordinator_a, cast.site_a), treated(cast.coordinator_a, cast.site_a)
    b1 = treated(cast.coordinator_b, cast.site_b)
    waiting = registered(cast.coordinator_a, cast.site_a)
    milestones(waiting, consent_date=date(2025, 8, 20))
    event(a1, cast.coordinator_a, grade=1)
    event(a1, cast.coordinator_a, grade=3, onset_date=date(2025, 10, 5))
    event(a1, cast.coordinator_a, ctcae_code=DERMATITIS, onset_date=date(2025, 9, 21))
    event(a1, cast.coordinator_a, ctcae_code=DERMATITIS, onset_date=date(2025, 10, 21))
    event(a2, cast.coordinator_a, grade=2, relation_radiotherapy="unlikely")
    event(a2, cast.coordinator_a, ctcae_code=SPINAL_FRACTURE, grade=2, vertebra="T8", **SERIOUS)
    event(b1, cast.coordinator_b, grade=3)
    event(waiting, cast.coordinator_a, grade=3, relation_radiotherapy="unrelated")
    return a1, a2, b1, waiting


def table(page) -> dict[str, list[str]]:
    return {line["label"]: [f"{cell['n']} of {cell['of']}" for cell in line["cells"]] for line in page.context["terms"]}


def test_lines_are_counted_by_hand(rows):
    a1, a2, b1, waiting = rows
    lines = {line.term or line.soc: line for line in tabulate(AdverseEvent.objects.exclude(subject=waiting))}
    tired = lines[FATIGUE]
    assert tired.worst == {a1.pk: 3, a2.pk: 2, b1.pk: 3}
    assert tired.related == {a1.pk, b1.pk}
    counts = [len(tired.members(c)) for c in ("any", "ge2", "ge3", "related", "grade1", "grade2", "grade3", "grade5")]
    assert counts == [3, 3, 2, 2, 0, 1, 2, 0]
    assert lines[INJURY].worst == {a1.pk: 1, a2.pk: 2}  # dermatitis and fracture: each participant once
    assert lines[""].worst == {a1.pk: 3, a2.pk: 2, b1.pk: 3}
    with pytest.raises(ValueError, match="grade6"):
        tired.members("grade6")


def test_classes_stand_in_the_order_of_nci_with_their_terms_below(rows):
    lines = tabulate(AdverseEvent.objects.order_by("-pk"))
    assert [(line.soc, line.term) for line in lines] == [
        ("", ""), (GENERAL, ""), (GENERAL, FATIGUE), (INJURY, ""), (INJURY, DERMATITIS), (INJURY, SPINAL_FRACTURE),
    ]  # fmt: skip


def test_a_coding_puts_events_together_by_its_own_terms(rows):
    """As MedDRA will: any function from an event to class and term."""
    lines = tabulate(AdverseEvent.objects.all(), lambda each: Place("99000001", "Invented", "99000002", "Anything"))
    assert [(line.soc_label, line.term_label, len(line.worst)) for line in lines] == [
        ("", "", 4), ("Invented", "", 4), ("Invented", "Anything", 4),
    ]  # fmt: skip


def test_the_denominator_is_the_participants_irradiated(cast, client, rows):
    client.force_login(cast.data_manager)
    page = client.get(reverse("safety"))
    assert page.context["treated"] == 3
    assert table(page) == {
        "Any adverse event": ["3 of 3", "3 of 3", "2 of 3", "3 of 3"],
        GENERAL: ["3 of 3", "3 of 3", "2 of 3", "2 of 3"],
        "Fatigue": ["3 of 3", "3 of 3", "2 of 3", "2 of 3"],
        INJURY: ["2 of 3", "1 of 3", "0 of 3", "2 of 3"],
        "Dermatitis radiation": ["1 of 3", "0 of 3", "0 of 3", "1 of 3"],
        "Spinal fracture": ["1 of 3", "1 of 3", "0 of 3", "1 of 3"],
    }
    assert page.context["others"] == 1
    client.force_login(cast.coordinator_b)
    assert table(client.get(reverse("safety")))["Fatigue"] == ["1 of 1", "1 of 1", "1 of 1", "1 of 1"]


def test_without_participants_the_table_says_0_of_0(cast, client):
    client.force_login(cast.data_manager)
    for query in ({}, {"by": "arm"}):
        page = client.get(reverse("safety"), query)
        assert page.status_code == 200
        assert set(table(page)["Any adverse event"]) == {"0 of 0"}
    assert "No participant." in client.get(reverse("safety_participants"), {"show": "any"}).text


def test_every_count_leads_to_its_participants(cast, client, rows):
    client.force_login(cast.data_manager)
    page = client.get(reverse("safety"))
    for line in page.context["terms"]:
        for cell in (*line["grades"], *line["cells"]):
            if cell["n"]:
                behind = client.get(cell["url"])
                assert behind.context["count"] == cell["n"]
                assert len({row["code"] for row in behind.context["rows"]}) == cell["n"]
            else:
                assert cell["url"] == ""


@pytest.mark.parametrize(
    "query",
    [{}, {"show": "ge4"}, {"show": "any", "term": "10016256"}, {"show": "any", "soc": "x"},
     {"show": "any", "arm": "NONE"}, {"show": "any", "soc": "\x00"}],
)  # fmt: skip
def test_a_count_that_does_not_exist_is_not_found(cast, client, rows, query):
    client.force_login(cast.data_manager)
    assert client.get(reverse("safety_participants"), query).status_code == 404


# --- arms ---


def give_arms(monkeypatch, rows) -> None:
    """A1 and B1 in the first arm of the protocol, A2 in the second; allocation is tested elsewhere."""
    a1, a2, b1, _waiting = rows
    one, two = CURRENT.arms
    arm_of = {a1.pk: one, b1.pk: one, a2.pk: two}

    def arms_for(actor, subjects):
        ids = {getattr(each, "pk", each) for each in subjects}
        return {pk: arm for pk, arm in arm_of.items() if pk in ids}

    monkeypatch.setattr("randomization.arms.arms_for", arms_for)


def test_by_arm_each_arm_has_its_own_denominator_and_the_trail_keeps_who_looked(cast, client, rows, monkeypatch):
    give_arms(monkeypatch, rows)
    client.force_login(cast.data_manager)
    page = client.get(reverse("safety"), {"by": "arm"})
    assert [group["n"] for group in page.context["groups"]] == [2, 1]
    cells = table(page)
    assert cells["Fatigue"] == ["2 of 2", "1 of 1", "2 of 2", "1 of 1", "2 of 2", "0 of 1", "2 of 2", "0 of 1"]
    assert cells["Dermatitis radiation"][:2] == ["1 of 2", "0 of 1"]
    behind = next(line for line in page.context["terms"] if line["label"] == "Fatigue")["cells"][0]["url"]
    assert {row["code"] for row in client.get(behind).context["rows"]} == {rows[0].code, rows[2].code}
    client.get(reverse("safety"), {"by": "arm"})
    entries = AuditEntry.objects.filter(act="arm viewed: safety by arm")
    assert [entry.actor_id for entry in entries] == [cast.data_manager.pk]  # one a day


def test_the_masked_get_both_arms_together_and_nothing_else(cast, client, rows, monkeypatch):
    give_arms(monkeypatch, rows)
    client.force_login(cast.statistician)
    page = client.get(reverse("safety"))
    assert not page.context["may_compare"]
    assert "by=arm" not in page.text
    assert client.get(reverse("safety"), {"by": "arm"}).status_code == 403
    asked = {"show": "any", "arm": CURRENT.arms[0].code}
    assert client.get(reverse("safety_participants"), asked).status_code == 403
    assert not AuditEntry.objects.filter(act__startswith="arm viewed").exists()


def test_the_arms_are_compared_only_where_every_site_counted_may_be_seen(cast, client, rows, monkeypatch):
    """Somebody who is unmasked at one of two sites sees both arms together while both are counted."""
    monkeypatch.setattr("spinetrial.worklists.safety.sites_for", lambda user, action: (
        {cast.site_a.pk} if action == "arm.view" else None
    ))  # fmt: skip
    client.force_login(cast.data_manager)
    assert client.get(reverse("safety"), {"by": "arm"}).status_code == 403
    session = client.session
    session["site"] = cast.site_a.code
    session.save()
    assert client.get(reverse("safety"), {"by": "arm"}).status_code == 200
    assert not AllocatedArm.objects.exists()


# --- watch ---


def test_the_watch_finds_injuries_in_events_and_on_imaging(cast, client, rows):
    a1, a2, b1, waiting = rows
    event(b1, cast.coordinator_b, ctcae_code=MYELITIS, grade=1)  # below the grade watched
    event(waiting, cast.coordinator_a, ctcae_code=MYELITIS, grade=3, relation_radiotherapy="unrelated")  # not treated
    event(a1, cast.coordinator_a, ctcae_code="10017076", grade=2)  # a fracture, of no vertebra
    with acting(SETUP, "test"):
        read = Imaging(
            subject=a1, event="M3", status="done", imaging_date=date(2025, 12, 19), modality="mri",
            read_by="radiologist", cord_injury=True, cord_grade="2",
        )  # fmt: skip
        read.save()
        for level, fracture, symptomatic in (("T8", "new", True), ("T9", "progressive", False), ("T10", "none", None)):
            ImagedVertebra(
                subject=a1, parent=read, level=level, fracture=fracture, symptomatic=symptomatic,
                local_control="controlled",
            ).save()  # fmt: skip
    found = {
        watch.what: watch.signs
        for watch in watched(cast.data_manager, AdverseEvent.objects.all(), [a1.pk, a2.pk, b1.pk])
    }
    assert set(found[Watched.MYELOPATHY]) == {a1.pk}
    assert {who: [sign.level for sign in signs] for who, signs in found[Watched.FRACTURE].items()} == {
        a1.pk: ["T8"], a2.pk: ["T8"],
    }  # fmt: skip
    client.force_login(cast.data_manager)
    page = client.get(reverse("safety"))
    assert [watch["n"] for watch in page.context["watches"]] == [1, 2]
    days = (date(2025, 12, 19) - RT_END).days
    assert f"{days} days after the last fraction" in page.text


# --- narrative ---


def test_the_narrative_tells_the_facts_in_order_without_the_arm(cast, client, rows, monkeypatch):
    give_arms(monkeypatch, rows)
    a2 = rows[1]
    baseline(a2, nrs=6, analgesics="none")
    days = [date(2025, 10, 2), date(2025, 10, 8)]
    serious = event(
        a2, cast.coordinator_a, ctcae_code=MYELITIS, grade=3, onset_date=days[0], vertebra="T9",
        periods=[(days[0], 2), (days[1], 3)], remarks="First line.\n\n<b>Second</b> line.",
        **{**SERIOUS, "aware_at": AWARE + timedelta(days=3)},
    )  # fmt: skip
    address = reverse("ae_narrative", args=[a2.code, serious.pk])
    client.force_login(cast.monitor_a)
    page = client.get(address)
    told = ["Participant", "Radiotherapy", "Event", "Seriousness", "Cause", "Treatment and outcome"]
    assert [title for title, _facts in page.context["sections"]] == told
    text = page.text
    for words in ("2025-09-08", "T9", "grade 2 from 2025-10-02", "grade 3 from 2025-10-08", "Pain at the index site: 6",
                  "Admission to hospital", "&lt;b&gt;Second", "Possible: may be"):  # fmt: skip
        assert words in text
    label = CURRENT.arms[1].name
    assert label not in text
    assert label in client.get(address, {"arm": "1"}).text
    assert AuditEntry.of_subject(a2.pk).filter(act="arm viewed: narrative").count() == 1
    client.force_login(cast.statistician)
    page = client.get(address, {"arm": "1"})
    assert page.status_code == 200
    assert label not in page.text
    assert "Show the arm" not in page.text
    client.force_login(cast.coordinator_b)
    assert client.get(address).status_code == 404
    other = reverse("ae_narrative", args=[rows[0].code, serious.pk])
    client.force_login(cast.monitor_a)
    assert client.get(other).status_code == 404  # another participant's event


# --- listing ---


def test_the_listing_is_safe_to_open_and_its_taking_is_on_the_trail(cast, client, rows):
    event(rows[1], cast.coordinator_a, verbatim="=1+1", onset_date=date(2025, 11, 1), grade=2,
          periods=[(date(2025, 11, 1), 1), (date(2025, 11, 3), 2)])  # fmt: skip
    client.force_login(cast.monitor_a)
    answer = client.get(reverse("safety_listing"))
    lines = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {line["site"] for line in lines} == {cast.site_a.code}
    assert len(lines) == AdverseEvent.objects.filter(subject__site=cast.site_a).count()
    (line,) = [line for line in lines if line["grade_course"].count(";")]
    assert (line["verbatim"], line["worst_grade"]) == ("'=1+1", "2")
    assert line["grade_course"] == "2025-11-01 1;2025-11-03 2"
    assert (line["phase"][:5], line["days_after_first_fraction"]) == ("Acute", "54")
    assert AuditEntry.objects.get(act="safety listing exported").changes["rows"] == len(lines)


def test_the_pages_ask_no_more_for_more_events(cast, client, rows, django_assert_num_queries):
    client.force_login(cast.data_manager)
    pages = [
        (reverse("safety"), {}), (reverse("safety_participants"), {"show": "any"}), (reverse("safety_listing"), {}),
    ]  # fmt: skip
    counts = []
    for address, query in pages:
        client.get(address, query)
        with CaptureQueriesContext(connection) as asked:
            client.get(address, query)
        counts.append(len(asked))
    for _number in range(3):
        more = treated(cast.coordinator_a, cast.site_a)
        event(more, cast.coordinator_a, grade=2, periods=[(date(2025, 9, 20), 1), (date(2025, 9, 22), 2)])
        event(more, cast.coordinator_a, ctcae_code=SPINAL_FRACTURE, grade=2, **SERIOUS)
    for (address, query), before in zip(pages, counts, strict=True):
        with django_assert_num_queries(before):
            client.get(address, query)
