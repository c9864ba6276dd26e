"""The page of the factors: what another table would change, counted by hand; nothing is stored, no arm is shown."""

from datetime import date

import pytest
from django.urls import reverse

from followup.responses import responses_of_many
from patients.models import Subject
from spinetrial.analysis import sets
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT
from tests.followup.helpers import baseline, noon, treated, visit

TODAY = date(2026, 2, 1)
PATCH = {"drug": "FENTANYL_PATCH", "dose": "25", "times": "1"}
MORPHINE = {"drug": "MORPHINE_PO", "dose": "30", "times": "2"}


@pytest.fixture(autouse=True)
def _clock():
    with at(noon(TODAY)):
        yield


@pytest.fixture
def switched(cast):
    """Morphine 60 mg at baseline, a patch of 25 ug/h and 2 points less pain at month 3: PR while the patch is 60."""
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject)
    visit(subject, cast.coordinator_a, nrs_worst=4, analgesics="some", rows=[PATCH])
    return subject


def page(client, person, status=200, **query):
    client.force_login(person)
    answer = client.get(reverse("factors"), query)
    assert answer.status_code == status
    return answer


def tried(**changes):
    from spinetrial.terminology.opioids import V1

    return {**{f"f-{code}": str(factor) for code, factor in V1.factors.items()}, **changes}


def test_a_patch_of_another_factor_changes_the_response_of_the_switched_alone(client, cast, switched):
    steady = treated(cast.coordinator_a, cast.site_a)
    baseline(steady, rows=(("FENTANYL_PATCH", 25, 1),))
    visit(steady, cast.coordinator_a, nrs_worst=4, analgesics="some", rows=[PATCH])
    before = AuditEntry.objects.latest("pk").pk
    for query in ({"from": "fpm2021"}, tried(**{"f-FENTANYL_PATCH": "3"})):
        found = page(client, cast.data_manager, **query).context["found"]
        month3 = {change.code: change for change in found.changes if change.event == "Month 3"}
        assert month3[switched.code].omeds == (("60", "60"), ("60", "75"))
        assert month3[switched.code].categories == (("PR", "IR"), ("PR", "IR"))
        assert month3[steady.code].omeds == (("60", "75"), ("60", "75"))
        assert not month3[steady.code].flips
        assert [sum(pairs.values()) for pairs in found.moved.values()] == [1, 1]
    assert {entry.table_name for entry in AuditEntry.objects.filter(pk__gt=before)} <= {"", "access_user"}  # log-ins
    assert page(client, cast.data_manager, **tried()).context["found"].changes == []


def test_an_opioid_without_a_factor_makes_the_visit_not_evaluable(client, cast, switched):
    found = page(client, cast.statistician, **tried(**{"f-FENTANYL_PATCH": ""})).context["found"]
    (change,) = [change for change in found.changes if change.event == "Month 3"]
    assert change.omeds[1] == ("60", "?")
    assert change.categories == (("PR", "NE"), ("PR", "NE"))


@pytest.mark.parametrize("bad", ["abc", "-1", "0", "NaN", "1e99", "0.00001", "１２３４５６７８９"])
def test_a_bad_number_is_told_and_what_was_typed_is_kept(client, cast, switched, bad):
    answer = page(client, cast.data_manager, 422, **tried(**{"f-MORPHINE_PO": bad}))
    assert "Nothing was compared" in answer.content.decode()
    assert f'value="{bad}"' in answer.content.decode()
    assert answer.context["found"] is None


def test_people_of_a_site_read_the_table_and_compare_nothing(client, cast, switched):
    for name in ("coordinator_a", "investigator_a", "monitor_a", "coordinator_b"):
        answer = page(client, getattr(cast, name), **{"from": "fpm2021"})
        assert answer.context["found"] is None
        assert "Show what would change" not in answer.content.decode()
        assert switched.code not in answer.content.decode()


def test_more_participants_ask_no_more_questions(client, cast, switched, django_assert_num_queries):
    client.force_login(cast.data_manager)
    client.get(reverse("factors"), {"from": "fpm2021"})
    with django_assert_num_queries(16):
        client.get(reverse("factors"), {"from": "fpm2021"})
    for _number in range(2):
        subject = treated(cast.coordinator_a, cast.site_a)
        baseline(subject)
        visit(subject, cast.coordinator_a, nrs_worst=4, analgesics="some", rows=[PATCH])
    with django_assert_num_queries(16):
        client.get(reverse("factors"), {"from": "fpm2021"})


def test_the_working_stands_on_a_page_of_its_own(client, cast, switched):
    client.force_login(cast.coordinator_a)
    text = client.get(reverse("response", args=[switched.code, "M3"])).content.decode()
    for words in (
        "Pain: baseline 6, visit 4, change -2.",
        "Fentanyl, patch: 25 ug/h x 1 x 2.4 = 60 mg",
        "not multiplied by 24",
        "Opioid switch: Fentanyl, patch, Morphine, oral.",
        "Literal: any rise",
        "Tolerant: a rise",
        "Factor table 1, protocol version 1.0",
    ):
        assert words in text
    assert client.get(reverse("response", args=[switched.code, "M6"])).status_code == 404
    client.force_login(cast.coordinator_b)
    assert client.get(reverse("response", args=[switched.code, "M3"])).status_code == 404


def test_flags_of_methadone_and_of_readings_that_differ_are_in_the_working(client, cast):
    subject = treated(cast.coordinator_a, cast.site_a)
    baseline(subject, rows=(("METHADONE_PO", 10, 2),))
    rows = [{"drug": "METHADONE_PO", "dose": "22", "times": "1"}]
    visit(subject, cast.coordinator_a, nrs_worst=0, analgesics="some", rows=rows)
    client.force_login(cast.coordinator_a)
    text = client.get(reverse("response", args=[subject.code, "M3"])).content.decode()
    assert text.count("depends on the dose") == 2  # at baseline and at the visit
    assert "differ: IR and CR" in text


def test_the_analysis_gives_the_same_responses_as_the_screens(cast, switched):
    for nrs, rows in ((0, [MORPHINE]), (8, [{**MORPHINE, "dose": "50"}]), (None, [])):
        subject = treated(cast.coordinator_a, cast.site_a)
        baseline(subject)
        changes = {"nrs_missing": "refused"} if nrs is None else {}
        visit(subject, cast.coordinator_a, nrs_worst=nrs, analgesics="some" if rows else "none", rows=rows, **changes)
    subjects = list(Subject.objects.select_related("site"))
    screens = responses_of_many(subjects)
    analysed = {row.subject: row for row in sets.build(take_snapshot().without_arm(), CURRENT).rows}
    assert len(analysed) == 4
    for subject in subjects:
        found = analysed[subject.code].response("M3")
        assert found.category(screens[subject.pk]["M3"].reading) is screens[subject.pk]["M3"].category
