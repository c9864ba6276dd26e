"""The randomise page, its result and slip, and the custodian's pages, as the roles meet them."""

import re
from types import SimpleNamespace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from randomization import allocate, lists
from randomization.models import Allocation, RandomizationList
from spinetrial.audit.models import AuditEntry
from spinetrial.protocol import CURRENT
from spinetrial.review import trial
from tests.cast import PASSWORD
from tests.randomization.people import arms_of, ready_subject, sealed_list

ARM_WORDS = [word for arm in CURRENT.arms for word in (f'data-arm="{arm.code}"', arm.ctv_text)]


@pytest.fixture(autouse=True)
def conditions(monkeypatch):
    """Conditions of the page; a test changes `met`."""
    condition = SimpleNamespace(code="consent", text="Consent is signed", met=True, url="/somewhere/", detail="")
    monkeypatch.setattr(allocate, "conditions", lambda subject: (condition,))
    return condition


@pytest.fixture
def subject(cast):
    return ready_subject(cast.coordinator_a, cast.site_a)


@pytest.fixture
def page(client):
    """Get or post as a person."""

    def go(person, name, *args, data=None, language="en"):
        client.force_login(person)
        headers = {"Accept-Language": language}
        if data is None:
            return client.get(reverse(name, args=args), headers=headers)
        return client.post(reverse(name, args=args), data, headers=headers)

    return go


# --- randomise ---


def test_from_checklist_to_arm(cast, subject, page):
    row = sealed_list(cast.custodian, cast.site_a)
    shown = page(cast.coordinator_a, "randomize", subject.code).content.decode()
    assert "Consent is signed" in shown
    assert "NK" in shown
    assert 'type="password"' in shown
    answer = page(cast.coordinator_a, "randomize", subject.code, data={"password": PASSWORD})
    assert (answer.status_code, answer.url) == (302, reverse("allocation", args=[subject.code]))
    result = page(cast.coordinator_a, "allocation", subject.code).content.decode()
    assert f'data-arm="{arms_of(row)[0]}"' in result
    assert "NK-1-001" in result
    # pressing again leads to the same result
    assert page(cast.coordinator_a, "randomize", subject.code, data={"password": PASSWORD}).status_code == 302
    assert page(cast.coordinator_a, "randomize", subject.code).status_code == 302
    assert Allocation.objects.count() == 1


@pytest.mark.parametrize("password", ["", "wrong", "x" * 10_000, "😀", PASSWORD + " "])
def test_without_the_password_nothing_happens(cast, subject, page, password):
    sealed_list(cast.custodian, cast.site_a)
    answer = page(cast.coordinator_a, "randomize", subject.code, data={"password": password})
    assert answer.status_code == 422
    assert not Allocation.objects.exists()
    on_trail = AuditEntry.objects.filter(act="randomisation refused: not confirmed", subject_id=subject.pk)
    assert on_trail.count() == (1 if password in ("wrong", "😀", PASSWORD + " ") else 0)
    assert not password or password not in answer.content.decode()


def test_an_open_condition_hides_the_button_and_refuses_the_post(cast, subject, page, conditions):
    sealed_list(cast.custodian, cast.site_a)
    conditions.met = False
    shown = page(cast.coordinator_a, "randomize", subject.code).content.decode()
    assert 'type="password"' not in shown
    assert 'href="/somewhere/"' in shown
    assert page(cast.coordinator_a, "randomize", subject.code, data={"password": PASSWORD}).status_code == 422
    assert not Allocation.objects.exists()


def test_no_list_used_up_list_and_frozen_trial_are_told(cast, subject, page):
    post = {"data": {"password": PASSWORD}}
    answer = page(cast.coordinator_a, "randomize", subject.code, **post)
    assert (answer.status_code, "is sealed yet" in answer.content.decode()) == (422, True)
    row = lists.do_seal(cast.custodian, lists.do_generate(cast.custodian, cast.site_a, 1))
    for _ in range(row.length):
        allocate.do_randomize(cast.coordinator_a, ready_subject(cast.coordinator_a, cast.site_a))
    answer = page(cast.coordinator_a, "randomize", subject.code, **post)
    assert (answer.status_code, "is used up" in answer.content.decode()) == (422, True)
    sealed_list(cast.custodian, cast.site_a)
    trial.do_freeze(cast.data_manager, "test")
    answer = page(cast.coordinator_a, "randomize", subject.code, **post)
    assert (answer.status_code, "frozen" in answer.content.decode()) == (422, True)


ROLES = {
    "coordinator_a": (200, 200, 200),
    "investigator_a": (200, 200, 200),
    "assessor_a": (403, 200, 403),
    "monitor_a": (403, 200, 200),
    "data_manager": (403, 200, 200),
    "statistician": (403, 200, 403),
    "coordinator_b": (404, 404, 404),
    "custodian": (403, 403, 403),
    "administrator": (403, 403, 403),
    "outsider": (403, 403, 403),
}


@pytest.mark.parametrize("name", ROLES)
def test_who_sees_what_of_an_allocation(cast, subject, page, name):
    sealed_list(cast.custodian, cast.site_a)
    allocate.do_randomize(cast.coordinator_a, subject)
    waiting = ready_subject(cast.coordinator_a, cast.site_a)
    person = getattr(cast, name)
    answers = [
        page(person, "randomize", waiting.code),
        page(person, "allocation", subject.code),
        page(person, "allocation_slip", subject.code),
    ]
    assert tuple(answer.status_code for answer in answers) == ROLES[name]
    tells_arm = [any(word in answer.content.decode() for word in ARM_WORDS) for answer in answers]
    unmasked = ROLES[name][2] == 200
    assert tells_arm == [False, unmasked, unmasked]


def test_slip_has_code_number_time_and_no_name(cast, page):
    from datetime import date

    from patients.subjects import do_register

    sealed_list(cast.custodian, cast.site_a)
    named = do_register(cast.coordinator_a, cast.site_a, date(2026, 1, 5), {"name": "Zhang San"})
    from patients.milestones import set_milestones
    from spinetrial.audit.acting import acting

    with acting(cast.coordinator_a, "t"):
        set_milestones(cast.coordinator_a, named, "t", consent_date=date(2026, 1, 5), eligible_on=date(2026, 1, 6))
    allocate.do_randomize(cast.coordinator_a, named)
    slip = page(cast.coordinator_a, "allocation_slip", named.code).content.decode()
    assert named.code in slip
    assert "NK-1-001" in slip
    assert "CST" in slip
    assert "Zhang" not in slip


def test_before_randomisation_there_is_no_result(cast, subject, page):
    assert page(cast.coordinator_a, "allocation", subject.code).status_code == 404
    assert page(cast.coordinator_a, "allocation_slip", subject.code).status_code == 404


def test_site_staff_learn_nothing_of_slots_to_come(cast, subject, page):
    """Pages before and after one allocation differ in nothing that depends on the rest of the list."""
    row = sealed_list(cast.custodian, cast.site_a, 777)  # three digits: no time, date or code of the pages has them
    waiting = ready_subject(cast.coordinator_a, cast.site_a)
    allocate.do_randomize(cast.coordinator_a, subject)
    for name, args in (("randomize", [waiting.code]), ("allocation", [subject.code]), ("list_seals", [])):
        text = re.sub(r'value="\w{64}"', "", page(cast.coordinator_a, name, *args).content.decode())  # random tokens
        assert not re.search(rf"\b{row.length}\b", text.replace(row.sha256, "")), name
        assert "lock size" not in text, name
    for name in ("lists", "list_generate", "list_import"):
        assert page(cast.coordinator_a, name).status_code == 403
    assert page(cast.coordinator_a, "list_detail", row.pk).status_code == 403


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_page_answers_in_both_languages(cast, subject, page, language):
    draft = lists.do_generate(cast.custodian, cast.site_b, 8)
    row = sealed_list(cast.custodian, cast.site_a)
    assert page(cast.coordinator_a, "randomize", subject.code, language=language).status_code == 200
    allocate.do_randomize(cast.coordinator_a, subject)
    for name in ("allocation", "allocation_slip"):
        assert page(cast.coordinator_a, name, subject.code, language=language).status_code == 200
    for name, args in (
        ("lists", []), ("list_generate", []), ("list_import", []), ("list_seals", []),
        ("list_detail", [row.pk]), ("list_detail", [draft.pk]),
    ):  # fmt: skip
        assert page(cast.custodian, name, *args, language=language).status_code == 200, name


# --- the custodian ---


def test_generate_seal_check(cast, page):
    answer = page(cast.custodian, "list_generate", data={"site": "NK", "at_least": "40"})
    row = RandomizationList.objects.get()
    assert (answer.status_code, answer.url) == (302, reverse("list_detail", args=[row.pk]))
    shown = page(cast.custodian, "list_detail", row.pk).content.decode()
    assert row.secret not in shown
    assert all(arm.code not in shown for arm in CURRENT.arms)
    assert page(cast.custodian, "list_seal", row.pk, data={"password": "wrong"}).status_code == 422
    assert RandomizationList.objects.get().draft
    assert page(cast.custodian, "list_seal", row.pk, data={"password": PASSWORD}).status_code == 302
    assert not RandomizationList.objects.get().draft
    answer = page(cast.custodian, "list_verify", row.pk, data={})
    assert "gives its SHA-256" in page(cast.custodian, "list_detail", row.pk).content.decode()
    for person in (cast.coordinator_b, cast.statistician, cast.administrator):
        assert row.sha256 in page(person, "list_seals").content.decode()
    assert page(cast.outsider, "list_seals").status_code == 403


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"site": "NK"},
        {"site": "XX", "at_least": "10"},
        {"site": "NK", "at_least": "0"},
        {"site": "NK", "at_least": "2001"},
        {"site": "NK", "at_least": "ten"},
        {"site": "😀" * 100, "at_least": "9" * 10_000},
    ],
)
def test_impossible_lists_are_refused_at_the_field(cast, page, data):
    answer = page(cast.custodian, "list_generate", data=data)
    assert answer.status_code == 422
    assert not RandomizationList.objects.exists()


def test_second_draft_discard_and_withdraw(cast, page):
    page(cast.custodian, "list_generate", data={"site": "NK", "at_least": "10"})
    draft = RandomizationList.objects.get()
    answer = page(cast.custodian, "list_generate", data={"site": "NK", "at_least": "10"})
    assert (answer.status_code, "already has a draft" in answer.content.decode()) == (422, True)
    assert page(cast.custodian, "list_discard", draft.pk, data={"reason": ""}).status_code == 422
    assert page(cast.custodian, "list_discard", draft.pk, data={"reason": "too short"}).status_code == 302
    assert page(cast.custodian, "list_discard", draft.pk, data={"reason": "again"}).status_code == 404
    row = sealed_list(cast.custodian, cast.site_a)
    assert page(cast.custodian, "list_withdraw", row.pk, data={"reason": "SPSS list"}).status_code == 302
    assert RandomizationList.objects.get().withdrawn_at is not None
    assert page(cast.custodian, "list_open", row.pk, data={}).status_code == 302  # not before the lock


def upload(content, **values):
    names = {f"value_{arm.code}": arm.code for arm in CURRENT.arms}
    return {"file": SimpleUploadedFile("list.csv", content), **names, **values}


def test_import_of_two_sites(cast, page):
    text = "center;no;group\nNK;1;1\nNK;2;2\nSH;1;2\nSH;2;1\n".encode("utf-8-sig")
    answer = page(cast.custodian, "list_import", data=upload(text, value_LOCAL="1", value_WHOLE="2"))
    assert answer.status_code == 302
    found = RandomizationList.objects.order_by("site__code")
    assert [(row.site.code, row.length, row.source) for row in found] == [("NK", 2, "imported"), ("SH", 2, "imported")]
    assert [arms_of(row) for row in found] == [["LOCAL", "WHOLE"], ["WHOLE", "LOCAL"]]


def test_import_is_all_or_nothing(cast, page):
    sealed_list(cast.custodian, cast.site_b)
    text = b"stratum,number,arm\nNK,1,LOCAL\nSH,1,LOCAL\n"
    answer = page(cast.custodian, "list_import", data=upload(text))
    assert (answer.status_code, "SH: " in answer.content.decode()) == (422, True)
    assert RandomizationList.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: upload(b"stratum,number,arm\nNK,1,<script>\n"), "Row 2: “&lt;script&gt;”"),
        (lambda: upload(b""), "empty"),
        (lambda: {}, "required"),
        (lambda: upload(b"stratum,number,arm\nNK,1,A\n", value_LOCAL="A", value_WHOLE="a"), "value of its own"),
        (lambda: upload(b"PK\x03\x04\xff\xfe\xff"), "no text"),
    ],
)
def test_bad_files_are_told_on_the_page(cast, page, data, words):
    answer = page(cast.custodian, "list_import", data=data())
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not RandomizationList.objects.exists()


def test_unbalanced_import_is_warned_about(cast, page):
    text = "stratum,number,arm\n" + "".join(f"NK,{n},LOCAL\n" for n in range(1, 9))
    page(cast.custodian, "list_import", data=upload(text.encode()))
    row = RandomizationList.objects.get()
    assert "cannot be cut into balanced blocks" in page(cast.custodian, "list_detail", row.pk).content.decode()


def test_opened_list_after_the_lock(cast, page):
    row = sealed_list(cast.custodian, cast.site_a)
    trial.do_freeze(cast.data_manager, "t")
    trial.do_lock(cast.statistician, "t")
    answer = page(cast.custodian, "list_open", row.pk, data={})
    assert lists.seal(answer.content.decode()) == row.sha256
    assert f"{row}.csv" in answer["Content-Disposition"]


def test_pages_of_lists_do_not_read_more_with_more_lists(cast, page):
    sealed_list(cast.custodian, cast.site_a, 8)
    counts = []
    for round_ in range(2):
        for name in ("lists", "list_seals"):
            page(cast.custodian, name)
            with CaptureQueriesContext(connection) as queries:
                page(cast.custodian, name)
            counts.append((round_, name, len(queries)))
        for _ in range(4):
            sealed_list(cast.custodian, cast.site_a, 8)
        sealed_list(cast.custodian, cast.site_b, 8)
    assert [count for _, _, count in counts[:2]] == [count for _, _, count in counts[2:]]
