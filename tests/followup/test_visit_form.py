"""The visit form: what it accepts, what it refuses and where it says so, what follows from it."""

from datetime import date, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.urls import reverse

from followup.crfs import IMAGING, VISIT
from followup.models import MissedReason, ScoreMissingReason, Visit, VisitAnalgesic
from followup.response import NeReason
from patients.milestones import milestones_of
from patients.models import Withdrawal
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.forms import form_data
from spinetrial.crf.save import EntryRefused
from spinetrial.crf.spec import check_spec
from spinetrial.review.models import Query
from tests.cast import SETUP
from tests.followup.helpers import (
    DONE,
    MORPHINE,
    NOT_ASKED,
    NOT_EXAMINED,
    change,
    milestones,
    noon,
    registered,
    treated,
    visit,
)


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def refused(subject, actor, *, rows=(), **changes) -> dict[str, list[str]]:
    with pytest.raises(EntryRefused) as refusal:
        visit(subject, actor, rows=rows, **changes)
    assert not Visit.objects.filter(subject=subject).exists()
    return refusal.value.errors


def open_queries(subject) -> set[str]:
    return set(Query.objects.filter(subject=subject, state="open").values_list("check_code", flat=True))


@pytest.mark.parametrize("spec", [VISIT, IMAGING])
def test_the_spec_and_the_model_agree(spec):
    assert check_spec(spec) == []


@pytest.mark.parametrize("spec", [VISIT, IMAGING])
def test_check_codes_are_unique(spec):
    codes = [check.code for check in spec.checks]
    assert len(codes) == len(set(codes))


def test_reasons_are_those_of_the_response(cast):
    """`followup.responses` turns the stored code into a NeReason; a code it does not know would be a crash."""
    assert {*MissedReason.values, *ScoreMissingReason.values} - {"patient"} <= {reason.value for reason in NeReason}


def test_a_visit_with_analgesics_is_saved(cast, subject):
    record = visit(subject, cast.coordinator_a, analgesics="some", rows=[MORPHINE])
    assert record.event == "M3"
    assert VisitAnalgesic.objects.get(parent=record).dose == 30
    assert open_queries(subject) == set()


def test_a_missed_visit_needs_only_its_reason(cast, subject):
    record = visit(subject, cast.coordinator_a, status="missed")
    assert (record.visit_date, record.nrs_worst, record.analgesics) == (None, None, "")


def test_answers_hidden_by_missed_are_dropped(cast, subject):
    answers = {**DONE, "status": "missed", "missed_reason": "too_ill"}
    record = visit(subject, cast.coordinator_a, **answers, on=date(2026, 1, 1))
    assert (record.visit_date, record.nrs_worst, record.frankel, record.ae_any) == (None, None, "", None)


@pytest.mark.parametrize("name", [n for n in DONE if n not in ("nrs_worst", "status")])
def test_each_answer_of_a_visit_is_needed(cast, subject, name):
    errors = refused(subject, cast.coordinator_a, **{name: None}, on=date(2026, 1, 1))
    assert list(errors) == [name]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"nrs_worst": None}, "nrs_worst"),
        ({"nrs_missing": "refused"}, "nrs_missing"),
        ({"nrs_worst": 11}, "nrs_worst"),
        ({"nrs_worst": -1}, "nrs_worst"),
        ({"nrs_worst": "3.5"}, "nrs_worst"),
        ({"nrs_worst": "😀"}, "nrs_worst"),
        ({"nrs_average": 11}, "nrs_average"),
        ({"visit_date": "2025-02-30"}, "visit_date"),
        ({"visit_date": "yesterday"}, "visit_date"),
        ({"mode": "post"}, "mode"),
        ({"status": "perhaps"}, "status"),
        ({"analgesics": "perhaps"}, "analgesics"),
        ({"ecog": "5"}, "ecog"),
        ({"remarks": "x" * 10_000}, "remarks"),
        ({"index_treatment": "surgery"}, "index_treatment_date"),
        ({"index_treatment": "other", "index_treatment_date": date(2025, 12, 1)}, "index_treatment_text"),
        ({"index_treatment": "surgery", "index_treatment_date": date(2025, 12, 20)}, "index_treatment_date"),
        ({"index_treatment": "surgery", "index_treatment_date": date(2025, 8, 31)}, "index_treatment_date"),
        ({"new_systemic": True}, "new_systemic_text"),
        ({"survival": "dead", "death_cause": "disease"}, "death_date"),
        ({"survival": "dead", "death_date": date(2025, 12, 20)}, "death_cause"),
        ({"survival": "dead", "death_cause": "disease", "death_date": date(2025, 12, 18)}, "death_date"),
        ({"survival": "dead", "death_cause": "disease", "death_date": date(2026, 1, 2)}, "death_date"),
        ({"status": "missed", "missed_reason": "dead"}, "survival"),
        ({"status": "missed", "missed_reason": None}, "missed_reason"),
    ],
)
def test_a_refusal_sits_at_its_field(cast, subject, changes, field):
    errors = refused(subject, cast.coordinator_a, **changes, on=date(2026, 1, 1))
    assert list(errors) == [field]


def test_the_list_of_analgesics_and_the_answer_agree(cast, subject):
    assert "analgesics" in refused(subject, cast.coordinator_a, analgesics="some")
    assert "analgesics" in refused(subject, cast.coordinator_a, analgesics="none", rows=[MORPHINE])
    assert "analgesics" in refused(subject, cast.coordinator_a, status="missed", rows=[MORPHINE])


def test_a_visit_needs_randomisation_before_it(cast, subject):
    assert list(refused(subject, cast.coordinator_a, visit_date=date(2025, 8, 31))) == ["visit_date"]
    screened = registered(cast.coordinator_a, cast.site_a)
    assert list(refused(screened, cast.coordinator_a)) == ["status"]


def test_a_date_is_judged_by_the_calendar_of_the_site(cast, subject):
    """At noon UTC+8 tomorrow is still the future, also for a coordinator in a hurry."""
    tomorrow = DONE["visit_date"] + timedelta(days=1)
    errors = refused(subject, cast.coordinator_a, visit_date=tomorrow, on=DONE["visit_date"])
    assert list(errors) == ["visit_date"]


def test_a_dead_participant_has_no_later_visit(cast, subject):
    milestones(subject, death_date=date(2025, 12, 18))
    assert list(refused(subject, cast.coordinator_a)) == ["visit_date"]
    milestones(subject, death_date=date(2025, 12, 19))
    assert visit(subject, cast.coordinator_a).pk  # on the day of death


def test_a_death_cannot_be_dated_before_a_visit_that_took_place(cast, subject):
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 10, 3))
    with pytest.raises(EntryRefused) as refusal:
        visit(
            subject,
            cast.coordinator_a,
            status="missed",
            missed_reason="dead",
            survival="dead",
            death_date=date(2025, 10, 2),
            death_cause="disease",
        )
    assert list(refusal.value.errors) == ["death_date"]


def test_data_after_their_use_was_forbidden_are_refused(cast, subject):
    with acting(SETUP, "test"):
        Withdrawal(
            subject=subject,
            withdrawn_on=date(2025, 12, 1),
            from_treatment=False,
            from_followup=True,
            from_data_use=True,
            initiator="patient",
            reason="DRP1",
        ).save()
    assert list(refused(subject, cast.coordinator_a)) == ["visit_date"]
    assert visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 12, 1)).pk


# --- death ---

DEATH = {"survival": "dead", "death_date": date(2026, 2, 1), "death_cause": "disease"}


def test_a_death_becomes_a_milestone_and_can_be_corrected_and_taken_back(cast, subject):
    record = visit(subject, cast.coordinator_a, status="missed", missed_reason="dead", **DEATH, on=date(2026, 3, 1))
    assert milestones_of(subject).death_date == date(2026, 2, 1)
    change(record, cast.coordinator_a, date(2026, 3, 2), death_date=date(2026, 2, 3))
    assert milestones_of(subject).death_date == date(2026, 2, 3)
    alive = {"survival": "alive", "death_date": None, "death_cause": "", "missed_reason": "missed"}
    change(record, cast.coordinator_a, date(2026, 3, 3), **alive)
    assert milestones_of(subject).death_date is None


def test_a_visit_wrongly_called_missed_by_death_can_become_a_visit_after_it(cast, subject):
    """Only this form knows of the death; it must not block its own correction."""
    record = visit(subject, cast.coordinator_a, status="missed", missed_reason="dead", **DEATH, on=date(2026, 3, 1))
    corrected = {**DONE, "missed_reason": "", "death_date": None, "death_cause": "", "visit_date": date(2026, 2, 20)}
    change(record, cast.coordinator_a, date(2026, 3, 2), **corrected)
    assert milestones_of(subject).death_date is None


def test_the_death_of_another_form_is_not_taken_back(cast, subject):
    visit(subject, cast.coordinator_a, "M6", status="missed", missed_reason="dead", **DEATH, on=date(2026, 4, 1))
    visit(subject, cast.coordinator_a, "M3")  # before the death, alive
    assert milestones_of(subject).death_date == date(2026, 2, 1)
    other = treated(cast.coordinator_a, cast.site_a)
    milestones(other, death_date=date(2026, 2, 1))
    record = visit(other, cast.coordinator_a, "M6", status="missed", missed_reason="dead", **DEATH, on=date(2026, 4, 1))
    alive = {"survival": "unknown", "death_date": None, "death_cause": "", "missed_reason": "missed"}
    change(record, cast.coordinator_a, date(2026, 4, 2), **alive)
    assert milestones_of(other).death_date == date(2026, 2, 1)


def test_two_dates_of_death_raise_a_query(cast, subject):
    visit(subject, cast.coordinator_a, "M6", status="missed", missed_reason="dead", **DEATH, on=date(2026, 4, 1))
    later = {**DEATH, "death_date": date(2026, 2, 2)}
    visit(subject, cast.coordinator_a, "M12", status="missed", missed_reason="dead", **later, on=date(2026, 10, 1))
    assert open_queries(subject) == {"death_dates_differ"}


# --- queries ---


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"visit_date": date(2026, 1, 3)}, "visit_out_of_window"),
        ({"visit_date": date(2025, 12, 4)}, "visit_out_of_window"),
        ({"nrs_average": 4}, "nrs_more_than_worst"),
        ({"nrs_current": 10}, "nrs_more_than_worst"),
        ({"motor": "present"}, "frankel_against_deficits"),
        ({"frankel": "C"}, "frankel_against_deficits"),
        ({"frankel": "B", "motor": "present"}, None),
        ({"visit_date": date(2026, 1, 2)}, None),
        ({"visit_date": date(2025, 12, 5)}, None),
    ],
)
def test_doubtful_answers_are_kept_and_queried(cast, subject, changes, code):
    visit(subject, cast.coordinator_a, **changes)
    assert open_queries(subject) == ({code} if code else set())


def test_the_query_closes_when_the_date_is_corrected(cast, subject):
    record = visit(subject, cast.coordinator_a, visit_date=date(2026, 1, 3))
    change(record, cast.coordinator_a, date(2026, 1, 5), visit_date=date(2026, 1, 2))
    assert open_queries(subject) == set()
    assert Query.objects.get(subject=subject).state == "closed"


def test_visit_dates_follow_the_order_of_the_visits(cast, subject):
    visit(subject, cast.coordinator_a, "W2", visit_date=date(2025, 12, 20))
    visit(subject, cast.coordinator_a, "M3", visit_date=date(2025, 12, 19))
    assert "visit_out_of_order" in open_queries(subject)


def test_a_visit_after_the_end_of_follow_up_is_queried(cast, subject):
    milestones(subject, followup_ended_on=date(2025, 12, 18))
    visit(subject, cast.coordinator_a)
    assert open_queries(subject) == {"visit_after_end"}


# --- rights ---


def test_only_the_staff_of_the_site_enters_a_visit(cast, subject):
    for person in (cast.coordinator_b, cast.monitor_a, cast.assessor_a, cast.data_manager, cast.outsider):
        with pytest.raises(PermissionDenied):
            visit(subject, person)
    assert visit(subject, cast.investigator_a).pk


# --- the database by itself ---


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("visit_done_or_missed", {"visit_date": None}),
        ("visit_done_or_missed", {"missed_reason": "missed"}),
        ("visit_score_or_reason", {"nrs_worst": None}),
        ("visit_score_or_reason", {"nrs_missing": "refused"}),
        ("visit_nrs_worst_in_range", {"nrs_worst": 11}),
        ("visit_questions_of_done", {"analgesics": ""}),
        ("visit_questions_of_done", {"mode": "", **NOT_ASKED, **NOT_EXAMINED}),
        ("visit_examined_in_the_clinic", {"mode": "telephone"}),
        ("visit_examined_in_the_clinic", {"mode": "telephone", "motor": "", "sensory": ""}),
        ("visit_asked_by_staff", {"mode": "patient", **NOT_EXAMINED}),
        ("visit_asked_by_staff", {"mode": "patient", **NOT_EXAMINED, **NOT_ASKED, "ae_any": True}),
        ("visit_death_has_date", {"survival": "dead"}),
        ("visit_death_has_date", {"death_date": date(2026, 1, 1)}),
        ("visit_before_death", {"survival": "dead", "death_date": date(2025, 12, 18), "death_cause": "disease"}),
        ("visit_index_treatment_dated", {"index_treatment": "surgery"}),
        ("visit_index_treatment_dated", {"index_treatment_date": date(2025, 12, 1)}),
        (
            "visit_index_treatment_before",
            {"index_treatment": "surgery", "index_treatment_date": date(2025, 12, 20)},
        ),
        ("visit_systemic_dated", {"new_systemic_date": date(2025, 12, 1)}),
        ("visit_systemic_dated", {"new_systemic_date": date(2025, 12, 1), "new_systemic": None}),
        ("visit_visit_date_since_1900", {"visit_date": date(1899, 12, 31)}),
        ("visit_frankel_known", {"frankel": "x"}),
        ("visit_survival_known", {"survival": "x"}),
    ],
)
def test_the_database_holds_the_rule_for_every_other_road(subject, constraint, changes):
    with pytest.raises(IntegrityError, match=constraint), acting(SETUP, "planted"):
        Visit(subject=subject, event="M3", **{**DONE, **changes}).save()


def test_missed_by_death_needs_the_death(subject):
    with pytest.raises(IntegrityError, match="visit_missed_by_death"), acting(SETUP, "planted"):
        Visit(subject=subject, event="M3", status="missed", missed_reason="dead", survival="alive").save()


def test_one_record_per_visit(cast, subject):
    visit(subject, cast.coordinator_a)
    with pytest.raises(EntryRefused):
        visit(subject, cast.coordinator_a)
    with pytest.raises(IntegrityError, match="visit_once_per_event"), acting(SETUP, "planted"):
        Visit(subject=subject, event="M3", **DONE).save()


# --- how the visit was done ---


@pytest.mark.parametrize(
    ("mode", "left_out"),
    [
        ("clinic", set()),
        ("telephone", {"motor", "sensory", "frankel"}),
        ("patient", {"motor", "sensory", "frankel", "bladder", "ecog", "ae_any"}),
    ],
)
def test_only_what_can_be_known_is_asked(cast, subject, mode, left_out):
    """Whatever is posted all the same is left out, and nothing of it is demanded."""
    asked = {name for name in ("motor", "sensory", "frankel", "bladder", "ecog", "ae_any", "nrs_worst", "survival")}
    for number, posted in enumerate(({}, {name: None for name in left_out}), 1):
        record = visit(subject, cast.coordinator_a, f"U{number}", mode=mode, **posted)
        blank = {name for name in asked if getattr(record, name) in ("", None)}
        assert blank == left_out


@pytest.mark.parametrize("mode", ["clinic", "telephone"])
def test_what_can_be_known_is_demanded(cast, subject, mode):
    blank = dict.fromkeys(("motor", "sensory", "frankel", "bladder", "ecog", "ae_any"))
    wanted = set(blank) - (set() if mode == "clinic" else {"motor", "sensory", "frankel"})
    assert set(refused(subject, cast.coordinator_a, mode=mode, **blank)) == wanted


def test_a_change_of_mode_takes_the_findings_away(cast, subject):
    record = visit(subject, cast.coordinator_a)
    changed = change(record, cast.coordinator_a, date(2026, 1, 5), mode="patient")
    assert (changed.motor, changed.frankel, changed.ecog, changed.bladder, changed.ae_any) == ("", "", "", "", None)
    assert changed.nrs_worst == 3


def test_a_missed_visit_keeps_nothing_of_the_examination(cast, subject):
    record = visit(subject, cast.coordinator_a, status="missed", missed_reason="refused", motor="none", ecog="1")
    assert (record.mode, record.motor, record.ecog, record.missed_reason) == ("", "", "", "refused")


@pytest.mark.parametrize(("said", "page"), [(True, "adverse_events"), (False, "subject"), (None, None)])
def test_the_question_for_adverse_events_needs_an_answer_and_yes_leads_to_their_list(cast, client, said, page):
    followed = treated(cast.coordinator_a, cast.site_a)
    client.force_login(cast.coordinator_a)
    with at(noon(DONE["visit_date"])):
        data = {**form_data(VISIT, {**DONE, "ae_any": said}, {}), "seen_version": "0", "save": "1"}
        answer = client.post(reverse("crf_edit", args=[followed.code, "F.VISIT", "M3"]), data)
    if page is None:
        assert answer.status_code == 422
        assert not Visit.objects.exists()
    else:
        assert answer.url == reverse(page, args=[followed.code])
