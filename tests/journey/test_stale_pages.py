"""Pages that grew old, and requests no page of ours sends: an answer in words, nothing changed."""

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from radiotherapy.models import Fraction
from radiotherapy.record_fraction import course_of
from randomization import lists
from randomization.models import RandomizationList
from spinetrial.access.models import StudySite, TrialState
from spinetrial.analysis.models import DataVersion
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.review import trial
from tests.cast import PASSWORD
from tests.conftest import own_database
from tests.world import NOW


@pytest.fixture
def world(request, worlds, django_db_blocker):
    template, world = worlds("WHOLE")
    with own_database(request, template, django_db_blocker), at(NOW):
        yield world


@pytest.fixture
def signed_in(world):
    def client(person: str) -> Client:
        client = Client()
        client.force_login(world.people[person])
        return client

    return client


def said(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def changes() -> int:
    """Rows written so far; log-ins and looks are no changes."""
    return AuditEntry.objects.filter(act__in=["insert", "update", "delete"]).count()


# --- the site switch ---


@pytest.mark.parametrize("target", ["worklist", "subject", "no_such_view", "crf_edit", "a:b", ""])
def test_a_bare_word_to_go_on_to_is_an_address_and_no_name_of_a_view(signed_in, target):
    """`redirect` looked for a view of that name, found one that takes arguments, and failed."""
    response = signed_in("coordinator_a").post(reverse("choose_site"), {"site": "NK", "next": target})
    assert response.status_code == 302


@pytest.mark.parametrize("target", ["https://away.example/", "//away.example", "javascript:alert(1)", "\\\\x"])
def test_the_site_switch_leads_to_no_other_place(signed_in, target):
    response = signed_in("coordinator_a").post(reverse("choose_site"), {"site": "NK", "next": target})
    assert response.headers["Location"] == "/"


# --- fractions ---

TODAY_BUTTON = {"today": "1", "number": "1", "seen_version": "0"}


@pytest.mark.parametrize("data", [{}, TODAY_BUTTON, {**TODAY_BUTTON, "given": "False", "date": "2026-06-29"}])
@pytest.mark.parametrize("which", ["new", "ready", "failed"])
def test_a_fraction_of_someone_without_a_course_is_refused_in_words(world, signed_in, which, data):
    subject = getattr(world.trial, which)
    before = changes()
    response = signed_in("coordinator_a").post(reverse("fraction_new", args=[subject.code]), data)
    assert response.status_code == 422
    assert "Nothing was saved" in response.content.decode()
    assert course_of(subject) is None
    assert changes() == before


@pytest.mark.parametrize("data", [{}, {**TODAY_BUTTON, "number": "11"}, {**TODAY_BUTTON, "number": "3"}])
def test_a_fraction_after_the_last_one_is_refused_in_words(world, signed_in, data):
    before = changes()
    response = signed_in("coordinator_a").post(reverse("fraction_new", args=[world.trial.followed.code]), data)
    assert response.status_code == 422
    assert "Nothing was saved" in response.content.decode()
    assert Fraction.objects.count() == 10
    assert changes() == before


# --- the state of the trial ---

WHOLE = {"reason": "because", "password": PASSWORD, "open_points_seen": "on"}


@pytest.mark.parametrize("data", [{}, WHOLE], ids=["empty", "filled in"])
@pytest.mark.parametrize(
    ("step", "person"),
    [("trial_unfreeze", "data_manager"), ("trial_unlock", "data_manager"), ("trial_lock", "statistician")],
)
def test_a_step_the_open_trial_does_not_offer_is_refused_in_words(signed_in, step, person, data):
    client, before = signed_in(person), changes()
    response = client.post(reverse(step), data)
    assert response.headers["Location"] == reverse("trial")
    assert "Nothing was changed" in client.get(reverse("trial")).content.decode()
    assert TrialState.current().state == TrialState.State.OPEN
    assert (changes(), DataVersion.objects.count()) == (before, 0)


@pytest.mark.parametrize("data", [{}, WHOLE], ids=["empty", "filled in"])
@pytest.mark.parametrize("step", ["trial_freeze", "trial_unlock"])
def test_a_step_the_frozen_trial_does_not_offer_is_refused_in_words(world, signed_in, step, data):
    trial.do_freeze(world.people["data_manager"], "all entered")
    client = signed_in("data_manager")
    assert client.post(reverse(step), data).headers["Location"] == reverse("trial")
    assert "Nothing was changed" in client.get(reverse("trial")).content.decode()
    assert TrialState.current().state == TrialState.State.FROZEN


def test_an_old_page_saves_nothing_into_the_frozen_trial(world, signed_in):
    """Every form a coordinator may have open when the freeze comes."""
    code, client = world.trial.new.code, signed_in("coordinator_a")
    trial.do_freeze(world.people["data_manager"], "all entered")
    before = changes()
    posts = {
        reverse("subject_new"): {"site": world.trial.cast.site_a.pk, "first_contact": "2026-06-29", "name": "New"},
        reverse("contact", args=[code]): {"name": "Other", "reason": "typo"},
        reverse("crf_edit", args=[code, "P.DM", "form"]): {"birth_date": "1960-05-01", "sex": "male"},
        reverse("fraction_new", args=[world.trial.followed.code]): TODAY_BUTTON,
        reverse("randomize", args=[world.trial.ready.code]): {"password": PASSWORD},
    }
    for address, data in posts.items():
        response = client.post(address, data)
        assert response.status_code == 422, address
        # The look at the contact is on the trail, as an act without a row.
        assert changes() == before, address


# --- randomisation lists ---


def test_a_used_list_is_not_withdrawn(world, signed_in):
    client = signed_in("custodian")
    response = client.post(reverse("list_withdraw", args=[world.sealed.pk]), {"reason": "wrong file"})
    assert "no longer be withdrawn" in said(response)
    assert RandomizationList.objects.get(pk=world.sealed.pk).withdrawn_at is None


@pytest.mark.parametrize("verb", ["list_withdraw", "list_discard", "list_seal"])
@pytest.mark.parametrize("data", [{}, {"reason": "again", "password": PASSWORD}], ids=["empty", "filled in"])
def test_a_list_withdrawn_meanwhile_takes_no_further_step(world, signed_in, verb, data):
    row, custodian = world.trial.draft, world.people["custodian"]
    lists.do_seal(custodian, row)
    lists.do_withdraw(custodian, RandomizationList.objects.get(pk=row.pk), "wrong file")
    withdrawn = RandomizationList.objects.get(pk=row.pk)
    before, client = changes(), signed_in("custodian")
    response = client.post(reverse(verb, args=[row.pk]), data, follow=True)
    assert "faster" in response.content.decode()
    stored = RandomizationList.objects.get(pk=row.pk)
    assert (stored.withdrawn_at, stored.sha256) == (withdrawn.withdrawn_at, withdrawn.sha256)
    assert changes() == before


def test_a_list_discarded_meanwhile_is_not_found(world, signed_in):
    lists.do_discard(world.people["custodian"], world.trial.draft, "wrong file")
    client = signed_in("custodian")
    for verb in ("list_seal", "list_discard", "list_withdraw", "list_verify", "list_open"):
        assert client.post(reverse(verb, args=[world.trial.draft.pk]), {"reason": "x"}).status_code == 404, verb


# --- sites ---


def test_a_new_site_is_asked_for_no_reason_and_needs_none(signed_in):
    """The field was demanded of a page that did not show it: no site could be made, and nothing said why."""
    client = signed_in("administrator")
    assert 'name="reason"' not in client.get(reverse("site_new")).content.decode()
    answers = {"code": "TJ", "name": "Tianjin Hospital", "timezone": "Asia/Shanghai", "active": "on"}
    assert client.post(reverse("site_new"), answers).status_code == 302
    assert StudySite.objects.get(code="TJ").name == "Tianjin Hospital"


def test_a_change_of_a_site_is_asked_for_its_reason(world, signed_in):
    client = signed_in("administrator")
    address = reverse("site_edit", args=["NK"])
    assert 'name="reason"' in client.get(address).content.decode()
    answers = {"name": "Other", "timezone": "Asia/Shanghai", "active": "on"}
    assert client.post(address, answers).status_code == 422
    assert StudySite.objects.get(code="NK").name != "Other"
    assert client.post(address, {**answers, "reason": "renamed", "code": "ZZ"}).status_code == 302
    assert StudySite.objects.get(pk=world.trial.cast.site_a.pk).code == "NK"  # participants' codes carry it
