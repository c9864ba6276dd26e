"""Every act has words in both languages, is found by its filter, and every filter is answered through an index."""

import ast

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import translation

from randomization.lists import do_generate
from spinetrial.access.models import User
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.models import AuditEntry
from spinetrial.worklists.audit_trail import ACTS, PURPOSES, FilterForm, act_words, visible
from tests.cast import SETUP
from tests.conftest import ROOT, as_owner, owner_url
from tests.followup.helpers import registered

SOURCES = [
    path
    for top in ("spinetrial", "patients", "randomization", "radiotherapy", "followup", "adverse_events")
    for path in (ROOT / top).rglob("*.py")
]


def calls(name):
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called == name:
                    yield node


def test_every_act_recorded_anywhere_has_words():
    acts = {
        node.args[0].value
        for node in calls("record_event")
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }
    assert {"login", "data exported", "contact read"} <= acts
    assert {act for act in acts if act_words(act) not in map(str, ACTS.values())} == set()


def test_every_purpose_of_a_confirmation_has_words():
    purposes = set()
    for name in ("confirm_person", "confirmed"):
        for node in calls(name):
            given = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "purpose")]
            purposes |= {each.value for each in given if isinstance(each, ast.Constant)}
    assert {"signature", "randomisation", "contacts purge"} <= purposes
    assert purposes <= set(PURPOSES)
    assert act_words("signature refused: not confirmed") == "Signature refused: password or code was wrong"


def test_an_unknown_act_is_shown_as_it_is_stored():
    assert act_words("something new: with a place") == "something new: with a place"
    assert act_words("arm viewed: slip") == "arm viewed: printed slip"


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("arm viewed: slip", "arm viewed"),
        ("signature refused: not confirmed", "refused: not confirmed"),
        ("sign", "sign"),
        ("contacts purged", "contacts purged"),
    ],
)
def test_the_filter_of_an_act_finds_its_kinds(client, cast, stored, wanted):
    subject = registered(cast.coordinator_a, cast.site_a)
    with acting(SETUP):
        record_event(stored, subject_id=subject.pk)
    client.force_login(cast.data_manager)
    rows = client.get(reverse("audit_trail"), {"act": wanted}).context["rows"]
    assert [row["entry"].act for row in rows] == [stored]
    with translation.override("zh-hans"):
        assert act_words(stored)


def test_an_item_narrows_the_rows_of_an_entry_too(client, cast):
    registered(cast.coordinator_a, cast.site_a)
    client.force_login(cast.data_manager)
    rows = client.get(reverse("audit_trail"), {"item": "first_contact"}).context["rows"]
    assert [row["item"] for row in rows] == ["First contact"]


def test_administrators_do_not_see_lists(cast):
    with acting(SETUP):
        record_event("randomisation list opened", site_id=cast.site_a.pk, reveals_arm=True)
    do_generate(cast.custodian, cast.site_a, 12)
    assert AuditEntry.objects.filter(table_name__startswith="randomization_").exists()
    seen = visible(User.objects.get(pk=cast.administrator.pk))
    assert seen.exists()
    assert not seen.filter(table_name__startswith="randomization_").exists()
    assert not seen.filter(reveals_arm=True).exists()


def test_every_filter_is_answered_through_an_index(request, client, simulated_trial):
    """The newest page of each filter, on the trial of 66: never the whole trail read and sorted."""
    as_owner("ANALYZE", url=owner_url(connection.settings_dict["NAME"]))  # as autovacuum does in time
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_auditentry")
        assert cursor.fetchone()[0] > 5000
    code, slow = simulated_trial.subjects().first().code, []
    for reader in ("data-manager", "coordinator-bj"):
        person = simulated_trial.person(reader)
        for wanted in (
            {},
            {"subject": code},
            {"site": "BJ"},
            {"form": "P.DM"},
            {"form": "P.PAIN", "item": "nrs_worst"},  # an item alone has no index of its own
            {"person": "coordinator-bj"},
            {"person": "custodian"},
            {"act": "update"},
            {"act": "contact read"},
            {"since": "2026-01-01", "until": "2026-02-01"},
        ):
            form = FilterForm(person, wanted)
            assert form.is_valid(), form.errors
            page = form.narrowed(visible(person)).order_by("-id")[:101]
            plan = page.explain()
            if "Seq Scan on audit_auditentry" in plan or "audit_" not in plan:
                slow.append((reader, wanted, plan))
    assert slow == []
