"""List, safety page and term search: who sees what, no arm anywhere."""

from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import translation

from adverse_events.clocks import clocks_of
from adverse_events.models import AdverseEvent
from adverse_events.safety import serious_events
from spinetrial.audit.clock import at
from spinetrial.review import trial
from tests.adverse_events.helpers import AWARE, DERMATITIS, FATIGUE, MYELITIS, SERIOUS, SPINAL_FRACTURE, event, sent
from tests.followup.helpers import noon, registered, treated


@pytest.fixture
def safety_rows(cast):
    """Three participants irradiated, one not; seven events.

    Fatigue: A1 grades 1 and 3 (worst 3), A2 grade 2, B1 grade 3 -> 0/1/2/0/0. Dermatitis: A1 twice grade 1 -> 1.
    Spinal fracture: A2 grade 2, serious.
    """
    a1 = treated(cast.coordinator_a, cast.site_a)
    a2 = treated(cast.coordinator_a, cast.site_a)
    b1 = treated(cast.coordinator_b, cast.site_b)
    registered(cast.coordinator_a, cast.site_a)
    event(a1, cast.coordinator_a, grade=1)
    event(a1, cast.coordinator_a, grade=3, onset_date=date(2025, 10, 5))
    event(a1, cast.coordinator_a, ctcae_code=DERMATITIS, onset_date=date(2025, 9, 21))
    event(a1, cast.coordinator_a, ctcae_code=DERMATITIS, onset_date=date(2025, 10, 21))
    event(a2, cast.coordinator_a, grade=2)
    event(a2, cast.coordinator_a, ctcae_code=SPINAL_FRACTURE, grade=2, **SERIOUS)
    event(b1, cast.coordinator_b, grade=3)
    return a1, a2, b1


def test_overdue_reports_come_first(cast, safety_rows):
    a1, a2, _b1 = safety_rows
    reported = event(a1, cast.coordinator_a, ctcae_code=MYELITIS, **SERIOUS)
    sent(reported, cast.investigator_a, AWARE + timedelta(hours=2))
    due = event(
        a2,
        cast.coordinator_a,
        ctcae_code=MYELITIS,
        **{**SERIOUS, "aware_at": AWARE + timedelta(hours=20)},
    )
    found = serious_events(AdverseEvent.objects.all())
    moment = AWARE + timedelta(hours=30)
    clocks = [clocks_of(each)[0] for each in found]
    assert [(clock.running, clock.missed(moment)) for clock in clocks] == [(True, True), (True, False), (False, False)]
    assert [each.pk for each in found][1:] == [due.pk, reported.pk]


def test_the_safety_page_counts_all_sites_one_may_see(cast, client, safety_rows):
    client.force_login(cast.data_manager)
    with at(AWARE + timedelta(hours=25)):
        page = client.get(reverse("safety"))
    assert page.context["treated"] == 3
    assert page.context["with_event"] == 3
    assert page.context["events"] == 7
    assert page.context["overdue"] == 1
    assert "missed by 1 h" in page.text
    client.force_login(cast.coordinator_b)
    page = client.get(reverse("safety"))
    assert (page.context["treated"], page.context["events"], page.context["serious"]) == (1, 1, [])
    for a_subject in safety_rows[:2]:
        assert a_subject.code not in page.text


def test_queries_do_not_grow_with_events(cast, client, safety_rows, django_assert_max_num_queries):
    client.force_login(cast.data_manager)
    client.get(reverse("safety"))
    with django_assert_max_num_queries(15) as before:
        client.get(reverse("safety"))
    for _number in range(4):
        event(treated(cast.coordinator_a, cast.site_a), cast.coordinator_a, ctcae_code=SPINAL_FRACTURE, **SERIOUS)
    with django_assert_max_num_queries(len(before)):
        client.get(reverse("safety"))
    with django_assert_max_num_queries(15) as one:
        client.get(reverse("adverse_events", args=[safety_rows[2].code]))
    with django_assert_max_num_queries(len(one)):
        client.get(reverse("adverse_events", args=[safety_rows[0].code]))


def test_neither_page_tells_the_arm(cast, client, safety_rows):
    for person in (cast.statistician, cast.coordinator_a):
        client.force_login(person)
        for page in (client.get(reverse("safety")), client.get(reverse("adverse_events", args=[safety_rows[0].code]))):
            for word in ("LOCAL", "WHOLE", "Involved sectors", "vertebral body", "allocation"):
                assert word not in page.text


STATUS = {  # safety page, list of a participant of site A, term search
    "coordinator_a": (200, 200, 200),
    "investigator_a": (200, 200, 200),
    "assessor_a": (403, 200, 200),
    "monitor_a": (200, 200, 200),
    "coordinator_b": (200, 404, 200),
    "investigator_b": (200, 404, 200),
    "data_manager": (200, 200, 200),
    "statistician": (200, 200, 200),
    "custodian": (403, 403, 403),
    "administrator": (403, 403, 403),
    "outsider": (403, 403, 403),
}


@pytest.mark.parametrize("who", STATUS)
def test_who_may_open_what(cast, client, who):
    subject = treated(cast.coordinator_a, cast.site_a)
    client.force_login(getattr(cast, who))
    addresses = (reverse("safety"), reverse("adverse_events", args=[subject.code]), reverse("ctcae_search"))
    assert tuple(client.get(address).status_code for address in addresses) == STATUS[who]


def test_the_list_shows_the_events_and_the_way_to_a_new_one(cast, client, safety_rows):
    a2 = safety_rows[1]
    client.force_login(cast.coordinator_a)
    with at(noon(date(2025, 12, 1))):
        page = client.get(reverse("adverse_events", args=[a2.code]))
    assert "Spinal fracture" in page.text
    assert "Acute" in page.text
    assert "missed by" in page.text
    assert f"/subjects/{a2.code}/A.AE/new/edit/" in page.text
    client.force_login(cast.monitor_a)
    assert "/new/" not in client.get(reverse("adverse_events", args=[a2.code])).text
    trial.do_freeze(cast.data_manager, "cleaning")
    client.force_login(cast.coordinator_a)
    assert "/new/" not in client.get(reverse("adverse_events", args=[a2.code])).text
    assert client.get(reverse("adverse_events", args=["XX-999"])).status_code == 404


# --- search ---


@pytest.fixture
def search(cast, client):
    client.force_login(cast.coordinator_a)

    def ask(text, language="en"):
        answer = client.get(reverse("ctcae_search"), {"q": text}, headers={"accept-language": language})
        assert answer.status_code == 200
        return answer.json()["results"]

    return ask


def test_a_result_has_code_term_class_and_grades(search):
    assert search("spinal fracture")[0] == {
        "value": SPINAL_FRACTURE,
        "label": "Spinal fracture",
        "hint": "脊柱骨折 · Injury, poisoning and procedural complications, grades 1, 2, 3, 4, 5",
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Fatigue", FATIGUE),
        ("fati", FATIGUE),
        ("FRACTURE spinal", SPINAL_FRACTURE),
        ("VCF", SPINAL_FRACTURE),
        ("椎体骨折", SPINAL_FRACTURE),
        ("放射性皮炎", DERMATITIS),
        ("myelopathy", MYELITIS),
        ("10028524", MYELITIS),
    ],
)
def test_terms_are_found_by_words_synonyms_chinese_and_code(search, text, code):
    assert code in [result["value"] for result in search(text)]


def test_nothing_typed_gives_the_terms_the_trial_expects(search):
    assert SPINAL_FRACTURE in [result.get("value") for result in search("")]


@pytest.mark.parametrize("text", ["zzzz", "x" * 10_000, "😀", "%_'\"<script>", "\x00"])
def test_nonsense_finds_nothing_and_breaks_nothing(search, text):
    assert search(text) == []


def test_a_chinese_reader_sees_our_chinese_name_first(search):
    with translation.override("zh-hans"):
        assert search("脊髓炎", "zh-hans")[0]["label"] == "脊髓炎 (Myelitis)"
