"""Bad input for every field of every form: a message, nothing saved, nothing lost, never a server error."""

from __future__ import annotations

import html
from datetime import date

import pytest
from django.apps import apps
from django.urls import reverse

from spinetrial.access.policy import allowed_roles
from spinetrial.audit.clock import at
from spinetrial.crf.forms import crf_form
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec, Keeping
from spinetrial.review.apps import guarded
from tests.cast import make_cast
from tests.conftest import own_database
from tests.followup.helpers import noon, treated
from tests.world import taken_back

TODAY = date(2025, 12, 20)
BAD = {
    "missing": "",
    "words": "not a number, not a date",
    "novel": "x" * 10_000,
    "emoji": "🦴💥",
    "nul": "a\x00b",
    "control": "\x07\x1b[31m",
    "negative": "-1",
    "huge": "999999999999999999999999",
    "not a number": "NaN",
    "infinite": "1e400",
    "date in 1890": "1890-01-01",
    "date to come": "2999-12-31",
    "no such date": "2025-02-30",
    "half a date": "2025-13",
    "markup": "<script>alert(1)</script>",
    "other digits": "٣",
}
#: Forms that somebody may fill in; the participant's questionnaire has pages, and tests, of its own.
SPECS = {spec.code: spec for spec in all_specs() if allowed_roles(spec.enter)}


@pytest.fixture(scope="module")
def people(request, template_database, django_db_setup, django_db_blocker):
    """Cast and participant, made once for hundreds of tests; each test is taken back."""
    with own_database(request, template_database, django_db_blocker):
        made = make_cast()
        yield made, treated(made.investigator_a, made.site_a)


@pytest.fixture
def cast(people):
    with taken_back():
        yield people[0]


@pytest.fixture
def subject(people):
    return people[1]


def address(spec: CrfSpec, code: str) -> str:
    if spec.page:
        return reverse("radiotherapy_edit" if spec.page == "radiotherapy" else spec.page, args=[code])
    key = {Keeping.ONCE: "form", Keeping.PER_EVENT: "M3", Keeping.REPEATING: "new"}[spec.keeping]
    return reverse("crf_edit", args=[code, spec.code, key])


def posted(spec: CrfSpec, value: str) -> dict[str, str]:
    """Every item of the form, and of one row of each grid, with the same bad value."""
    data = {item.name: value for item in spec.items()}
    for group in spec.rows:
        data |= {f"{group.key}-TOTAL_FORMS": "1", f"{group.key}-INITIAL_FORMS": "0"}
        data |= {f"{group.key}-0-{item.name}": value for item in group.items}
    return data


def rows() -> dict[str, int]:
    return {model._meta.label: model._default_manager.count() for model in apps.get_models() if guarded(model)}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("code", SPECS)
def test_every_form_answers_bad_input_in_words(cast, subject, client, code, kind):
    spec, value = SPECS[code], BAD[kind]
    client.force_login(cast.investigator_a)
    before = rows()
    with at(noon(TODAY)):
        response = client.post(address(spec, subject.code), posted(spec, value))
    if response.status_code == 302:  # only a form without required answers may take nothing
        assert kind == "missing", f"{code} took {kind}"
        return
    assert response.status_code == 422
    assert rows() == before
    form = response.context["form"]
    page = response.content.decode()
    messages = [m for each in form.errors.values() for m in each]
    for formset in getattr(form, "formsets", {}).values():
        messages += [m for errors in formset.errors for each in errors.values() for m in each]
    assert messages
    for message in messages:
        assert html.escape(str(message)) in page, message
    # What was typed is given back wherever it stands in a text or number field.
    texts = (
        [f for f in form if getattr(f.field.widget, "input_type", "") in ("text", "number")] if not spec.page else []
    )
    for field in texts:
        if value and "\x00" not in value and not field.is_hidden:
            assert html.escape(value) in page
            break


@pytest.mark.parametrize("code", SPECS)
def test_a_required_answer_left_out_is_asked_for_at_the_field(cast, subject, code):
    spec = SPECS[code]
    required = [
        item.name for item in spec.items() if not spec.model._meta.get_field(item.name).blank and not item.show_when
    ]
    with at(noon(TODAY)):
        form = crf_form(spec, subject, data=posted(spec, ""))
        form.is_valid()
    for name in required:
        if form.fields[name].required:
            assert name in form.errors, f"{code}.{name}"


@pytest.mark.parametrize("code", SPECS)
@pytest.mark.parametrize("kind", ["words", "novel", "emoji", "huge", "no such date", "markup"])
def test_a_coded_or_measured_answer_refuses_nonsense_at_the_field(cast, subject, code, kind):
    """One field at a time: only free text may take free text."""
    spec, value = SPECS[code], BAD[kind]
    with at(noon(TODAY)):
        for item in spec.items():
            field = spec.model._meta.get_field(item.name)
            free = field.get_internal_type() in ("CharField", "TextField") and not field.choices
            if free and (field.max_length or 4000) >= len(value):
                continue
            if field.get_internal_type() == "BooleanField" and not field.choices:
                continue  # a tick box: any value is a tick
            form = crf_form(spec, subject, data={**posted(spec, ""), item.name: value})
            form.is_valid()
            if item.show_when is None:
                assert item.name in form.errors, f"{code}.{item.name} took {kind}"


CODES = ["NK-001", "NK-999", "../etc", "🦴", "a" * 300, "NK-001%00", "' OR 1=1"]


@pytest.mark.parametrize("role", ["coordinator_a", "administrator"])
def test_addresses_made_up_by_hand_are_not_found(cast, subject, client, role):
    client.force_login(getattr(cast, role))
    events = ["M7", "M٣", "M0", "M999999", "W3", "-1", "0", "99999999999999999999", "new", "form", "%00", "..%2f.."]
    tried = 0
    for code in CODES:
        for tail in [f"F.VISIT/{event}/" for event in events] + [
            "A.AE/99999999999999999999/",
            "X.NONE/form/",
            "P.DM/form/edit/",
            "P.DM/1/history/",
            "eligibility/",
            "contact/",
            "randomize/",
            "radiotherapy/",
            "adverse-events/",
            "",
        ]:
            response = client.get(f"/subjects/{code}/{tail}")
            assert response.status_code in (200, 302, 403, 404), (code, tail)
            tried += 1
    for url in (
        "/queries/?state=nonsense",
        "/queries/?page=-5",
        "/queries/99999999999999999999/",
        "/ctcae/search/?q=" + "x" * 5000,
        "/ctcae/search/?q=%00",
        "/report/99999999999999999999/",
        "/report/1/?lang=xx",
        "/report/99999999999999999999/pdf/?lang=xx",
        "/data-versions/99999999999999999999/",
        "/accounts/99999999999999999999/",
        "/lists/99999999999999999999/",
    ):
        assert client.get(url).status_code in (200, 302, 403, 404), url
        tried += 1
    assert tried > 150


@pytest.mark.parametrize("kind", BAD)
def test_the_other_forms_answer_bad_input_in_words(cast, subject, client, kind):
    value = BAD[kind]
    pages = {
        "coordinator_a": (
            ("/subjects/new/", ("site", "first_contact", "name", "telephone", "email", "hospital_number")),
            (f"/subjects/{subject.code}/contact/", ("name", "telephone", "email", "hospital_number", "reason")),
            (f"/subjects/{subject.code}/radiotherapy/fraction/", ("number", "date", "dose_gy", "gap_reason")),
            (f"/subjects/{subject.code}/randomize/", ("password",)),
        ),
        "administrator": (
            ("/accounts/new/", ("username", "full_name", "email", "language")),
            (f"/accounts/{cast.outsider.pk}/role/", ("role", "site", "starts", "ends")),
            ("/sites/new/", ("code", "name", "timezone")),
            ("/password/", ("old_password", "new_password1", "new_password2")),
        ),
        "data_manager": (("/trial/freeze/", ("reason", "password")),),
        "custodian": (("/lists/new/", ("at_least", "length")), ("/lists/import/", ("file",))),
    }
    with at(noon(TODAY)):
        for person, forms in pages.items():
            client.force_login(getattr(cast, person))
            for url, names in forms:
                response = client.post(url, dict.fromkeys(names, value))
                assert response.status_code in (200, 302, 404, 405, 422), (url, kind)
    client.logout()
    assert client.post("/login/", {"username": value, "password": value}).status_code == 200
