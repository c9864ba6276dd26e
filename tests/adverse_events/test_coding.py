"""Coding: by the CTCAE code itself, by proposals, approved by another, stale after a change, carried on review."""

from dataclasses import replace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from adverse_events import coding
from adverse_events.coding import Change, State, Why, coded_terms, do_approve, do_carry, do_code, do_put_in_force
from adverse_events.meddra.load import do_import
from adverse_events.meddra.search import search
from adverse_events.models import Coding, How, MeddraImport, MeddraVersion
from adverse_events.tasks import import_dictionaries
from spinetrial.access.policy import Role
from spinetrial.access.uploads import CappedUpload
from spinetrial.analysis.readiness import BlockerKind, readiness
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import now
from spinetrial.audit.models import AuditEntry
from spinetrial.jobs import JobState
from spinetrial.protocol import CURRENT
from spinetrial.review import trial
from spinetrial.review.freezes import do_freeze_part
from tests.adverse_events.helpers import DERMATITIS, FATIGUE, MYELITIS, OTHER_CARDIAC, event
from tests.adverse_events.invented import Invented, zipped
from tests.followup.helpers import colleague, treated

#: Codes of CTCAE terms on invented words; the second is no longer current.
FIRST = Invented(
    linked=(FATIGUE, DERMATITIS, MYELITIS),
    retired=(DERMATITIS,),
    words={FATIGUE: "Gulvane", "95000001": "Odd flutter", "95000002": "Odd flatter", "94000001": "Dro fenform"},
)


@pytest.fixture
def manager(cast):
    return cast.data_manager


@pytest.fixture
def second(cast):
    return colleague("manager-two", Role.DATA_MANAGER, None)


@pytest.fixture
def subject(cast):
    return treated(cast.coordinator_a, cast.site_a)


def load(manager, invented=FIRST, language="en"):
    """Import a dictionary and put it in force."""
    version = do_import(manager, zipped(invented.content()), language).version
    do_put_in_force(manager, version.pk, "test")
    return MeddraVersion.objects.get(pk=version.pk)


def code(person, record, llt, how=How.PROPOSED, reason=""):
    row = Coding.objects.filter(adverse_event=record).first()
    record.refresh_from_db()
    return do_code(person, record.pk, llt, how, seen=coding.seen_token(record, row), reason=reason)


def approve(person, row):
    row.refresh_from_db()
    row.adverse_event.refresh_from_db()
    return do_approve(person, row.pk, seen=coding.seen_token(row.adverse_event, row))


def state(record):
    version = MeddraVersion.objects.filter(in_force=True).first()
    record.refresh_from_db()
    return coding.state_of(record, Coding.objects.filter(adverse_event=record).first(), version)


# --- by itself ---


def test_a_ctcae_code_of_the_dictionary_is_coded_by_itself_and_needs_no_approval(cast, manager, subject):
    before = event(subject, cast.coordinator_a)
    assert state(before) is State.UNCODED
    load(manager)
    after = event(subject, cast.coordinator_a)
    for record in (before, after):
        row = Coding.objects.get(adverse_event=record)
        assert (row.llt, row.pt, row.soc, row.how) == (FATIGUE, "94000001", "91000001", How.AUTOMATIC)
        assert state(record) is State.CODED
    entry = AuditEntry.objects.get(table_name="adverse_events_coding", row_id=str(row.pk))
    assert entry.actor == "system: coding by the CTCAE code"


def test_a_code_that_is_no_longer_current_or_names_no_term_waits_for_a_person(cast, manager, subject):
    load(manager)
    retired = event(subject, cast.coordinator_a, ctcae_code=DERMATITIS)
    other = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    assert {state(retired), state(other)} == {State.UNCODED}
    (first, *_more) = coding.proposals(MeddraVersion.objects.get(), [retired])[retired.pk]
    assert (first.why, first.llt.current) == (Why.CTCAE, False)
    code(manager, retired, DERMATITIS)
    assert state(retired) is State.TO_APPROVE


def test_without_a_dictionary_events_are_saved_and_nothing_blocks(cast, manager, subject):
    event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    assert not [each for each in readiness(manager) if each.kind is BlockerKind.CODING]
    assert coded_terms([1, 2]) == {}


# --- proposals ---


def test_proposals_are_ranked_exact_synonym_similar(cast, manager, subject):
    version = load(manager, replace(FIRST, words={**FIRST.words, "95000003": "Vertebral compression fracture"}))
    exact = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="  ODD  Flutter ")
    synonym = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="VCF")
    similar = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd fluter")
    with CaptureQueriesContext(connection) as one:
        coding.proposals(version, [exact])
    with CaptureQueriesContext(connection) as three:
        found = coding.proposals(version, [exact, synonym, similar])
    assert len(one) == len(three)
    best = {record: found[record.pk][0] for record in (exact, synonym, similar)}
    assert all(each.likeness >= coding.LIKE_ENOUGH for ranked in found.values() for each in ranked)
    assert (best[exact].why, best[exact].llt.code) == (Why.EXACT, "95000001")
    assert (best[synonym].why, best[synonym].llt.code) == (Why.SYNONYM, "95000003")
    assert (best[similar].why, best[similar].llt.code) == (Why.SIMILAR, "95000001")


def test_terms_are_found_in_every_loaded_language_and_by_code(cast, manager):
    version = load(manager)
    chinese = Invented(language="Chinese", linked=FIRST.linked, retired=FIRST.retired, words={FATIGUE: "甲乙丙丁"})
    do_import(manager, zipped(chinese.content()), "zh")
    assert search(version, "甲乙丁")[0].llt.code == FATIGUE
    assert search(version, FATIGUE)[0].exact
    for odd in ("", "   ", "$%&", "'; DROP TABLE", "😀" * 200, "x" * 200):
        search(version, odd)


# --- deciding ---


def test_a_second_person_approves_and_the_database_refuses_the_first(cast, manager, second, subject):
    load(manager)
    record = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    row = code(manager, record, "95000001")
    assert state(record) is State.TO_APPROVE
    with pytest.raises(coding.SamePerson):
        approve(manager, row)
    with pytest.raises(IntegrityError, match="coding_approved_by_another"), acting(manager, "past the rule"):
        Coding.objects.filter(pk=row.pk).update(approved_by=manager, approved_at=row.coded_at)
    with pytest.raises(IntegrityError, match="in the name of another"), acting(manager, "past the rule"):
        Coding.objects.filter(pk=row.pk).update(approved_by=second, approved_at=row.coded_at)
    approve(second, row)
    assert state(record) is State.CODED
    with pytest.raises(coding.Overtaken):
        approve(second, row)


@pytest.mark.parametrize(
    "change",
    [
        {"llt": "95000002"},  # belongs to another PT
        {"pt": "94000002"},
        {"soc": "91000002"},
        {"llt": "99999999"},
    ],
)
def test_the_database_refuses_a_code_off_the_hierarchy(cast, manager, subject, change):
    load(manager)
    record = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    row = code(manager, record, "95000001")
    with pytest.raises(IntegrityError, match="no path"), acting(manager, "past the rule"):
        Coding.objects.filter(pk=row.pk).update(**change)


def test_another_code_ends_the_approval_needs_a_reason_and_leaves_the_old_one_on_the_trail(
    cast, manager, second, subject
):
    load(manager)
    record = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    row = code(manager, record, "95000001")
    approve(second, row)
    with pytest.raises(coding.ReasonMissing):
        code(manager, record, "95000002")
    code(manager, record, "95000002", reason="the coarser word")
    assert state(record) is State.TO_APPROVE
    entry = AuditEntry.objects.filter(table_name="adverse_events_coding").order_by("-id")[0]
    assert (entry.changes["llt"], entry.reason) == (["95000001", "95000002"], "the coarser word")


def test_an_event_changed_after_coding_returns_to_the_list(cast, manager, subject):
    load(manager)
    record = event(subject, cast.coordinator_a)
    assert set(coded_terms([record.pk])) == {record.pk}
    event(subject, cast.coordinator_a, record=record, verbatim="weary")
    assert state(record) is State.STALE
    assert coded_terms([record.pk]) == {}
    assert [each.what for each in readiness(manager) if each.kind is BlockerKind.CODING] == [
        "weary: Event changed since it was coded"
    ]
    code(manager, record, FATIGUE)
    record.refresh_from_db()
    event(subject, cast.coordinator_a, record=record, verbatim="weary", ctcae_code=MYELITIS)
    assert state(record) is State.STALE


def test_a_decision_on_what_changed_meanwhile_is_not_taken(cast, manager, subject):
    load(manager)
    record = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    seen = coding.seen_token(record, None)
    event(subject, cast.coordinator_a, record=record, ctcae_code=OTHER_CARDIAC, verbatim="something else")
    with pytest.raises(coding.Overtaken):
        do_code(manager, record.pk, "95000001", How.PROPOSED, seen=seen)
    assert not Coding.objects.filter(adverse_event=record).exists()


def test_a_freeze_closes_coding(cast, manager, subject):
    load(manager)
    record = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    do_freeze_part(manager, subject, "clean")
    with pytest.raises(trial.EntryClosed):
        code(manager, record, "95000001")
    row = Coding(subject=subject, adverse_event=record, version=MeddraVersion.objects.get(), coded_by=manager)
    row.llt, row.pt, row.soc, row.how = "95000001", "94000001", "91000001", How.SEARCHED
    row.coded_at = now()
    with pytest.raises(DatabaseError, match="frozen"), acting(manager, "past the rule"):
        row.save()


def test_coded_terms_asks_the_same_number_of_questions_for_one_as_for_many(cast, manager, subject):
    load(manager)
    records = [event(subject, cast.coordinator_a) for _number in range(4)]
    with CaptureQueriesContext(connection) as one:
        coded_terms([records[0].pk])
    with CaptureQueriesContext(connection) as four:
        found = coded_terms([record.pk for record in records])
    assert len(one) == len(four) == 2
    term = found[records[0].pk]
    assert (term.llt.name, term.llt.code, term.pt.code, term.version) == ("Gulvane", FATIGUE, "94000001", "91.0")


def test_the_snapshot_holds_codes_and_names(cast, manager, subject):
    load(manager)
    record = event(subject, cast.coordinator_a)
    (row,) = take_snapshot().records("CODING")
    assert (row["record"], row["llt_code"], row["llt"], row["meddra_version"]) == (
        record.pk,
        FATIGUE,
        "Gulvane",
        "91.0",
    )


# --- versions ---


def test_a_newer_version_rewrites_nothing_until_each_difference_is_confirmed(cast, manager, second, subject):
    old = load(manager, replace(FIRST, linked=(FATIGUE, MYELITIS, DERMATITIS), retired=()))
    same = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="Odd flutter")
    code(manager, same, "95000001")
    moved, gone, retired = (event(subject, cast.coordinator_a, ctcae_code=each, grade=3) for each in
                            (FATIGUE, MYELITIS, DERMATITIS))  # fmt: skip
    new = load(
        manager,
        Invented(
            version="91.1",
            linked=(FATIGUE, MYELITIS, DERMATITIS),
            moved=(FATIGUE,),
            dropped=(MYELITIS,),
            retired=(DERMATITIS,),
            words=FIRST.words,
        ),
    )
    assert {row.version_id for row in Coding.objects.all()} == {old.pk}
    assert {state(each) for each in (same, moved, gone, retired)} == {State.OLD_VERSION}
    found = {each.coding.adverse_event_id: each for each in coding.differences(manager, new)}
    assert {pk: each.change for pk, each in found.items()} == {
        same.pk: Change.SAME,
        moved.pk: Change.OTHER_PT,
        gone.pk: Change.GONE,
        retired.pk: Change.NOT_CURRENT,
    }
    chosen = {each.coding.pk: each.seen for each in found.values() if each.change is not Change.NOT_CURRENT}
    assert do_carry(manager, chosen) == (2, 1)
    row = Coding.objects.get(adverse_event=moved)
    assert (row.version, row.pt, row.how) == (new, "94000020", How.CARRIED)
    assert [state(each) for each in (same, moved, gone, retired)] == [
        State.TO_APPROVE,
        State.TO_APPROVE,
        State.OLD_VERSION,
        State.OLD_VERSION,
    ]
    entry = AuditEntry.objects.filter(table_name="adverse_events_coding", row_id=str(row.pk)).order_by("-id")[0]
    assert entry.changes["pt"] == ["94000001", "94000020"]
    assert do_carry(manager, chosen) == (0, 3)


# --- the screens ---


def test_the_list_is_worked_through_and_approved_on_the_screen(client, cast, manager, second, subject):
    client.force_login(manager)
    record = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    assert "Coding needs MedDRA" in client.get(reverse("coding")).content.decode()
    load(manager)
    (row,) = client.get(reverse("coding")).context["rows"]
    posted = {"llt": row["best"].llt.code, "how": "proposed", "seen": row["seen"], "show": "open"}
    address = reverse("coding_event", args=[record.pk])
    assert client.post(address, {**posted, "seen": "old"}).status_code == 422
    assert client.post(address, {**posted, "llt": "1"}).status_code == 422
    assert client.post(address, posted).url == reverse("coding") + "?show=open"
    assert b"Another person approves." in client.get(reverse("coding"), {"show": "approve"}).content
    client.force_login(second)
    (row,) = client.get(reverse("coding"), {"show": "approve"}).context["rows"]
    assert client.post(address, {"verb": "approve", "seen": row["seen"], "show": "approve"}).status_code == 302
    assert state(record) is State.CODED
    page = client.get(address).content.decode()
    assert "Manager-Two" in page
    picked = client.get(address, {"pick": "95000002", "how": "searched"})
    assert picked.context["replacement"].name == "Odd flatter"
    again = {"llt": "95000002", "how": "searched", "seen": picked.context["seen"], "reason": " "}
    assert client.post(f"{address}?pick=95000002", again).status_code == 422
    assert client.post(f"{address}?pick=95000002", {**again, "reason": "coarser"}).status_code == 302
    assert state(record) is State.TO_APPROVE
    assert "Code 95000001" in page


def test_exact_matches_are_previewed_and_coded_together(client, cast, manager, subject):
    load(manager)
    exact = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd fluttter")
    client.force_login(manager)
    (row,) = client.get(reverse("coding_exact")).context["rows"]
    assert row["event"] == exact
    assert not Coding.objects.exists()
    pick = f"{exact.pk}:{row['best'].llt.code}:{row['seen']}"
    client.post(reverse("coding_exact"), {"pick": [pick, "x", "9:9:9", "9" * 30]})
    assert Coding.objects.get().adverse_event == exact


def test_the_hierarchy_is_walked_from_class_to_term(client, cast, manager, subject):
    load(manager)
    record = event(subject, cast.coordinator_a, ctcae_code=OTHER_CARDIAC, verbatim="odd flutter")
    client.force_login(manager)
    address, at, seen = reverse("coding_event", args=[record.pk]), "", []
    for _level in range(5):
        answer = client.get(address, {"at": at, "q": "odd flut"})
        seen.append(answer.context["steps"][0]["step"].level)
        at = answer.context["steps"][0]["at"]
    assert seen == [1, 2, 3, 4, 5]
    for odd in ("1", "91000001-1", "x" * 500, "\0", "99999999"):
        assert client.get(address, {"at": odd, "q": odd}).status_code == 200


def test_an_upload_is_imported_by_the_worker_with_its_progress_and_refusals(
    client, cast, manager, settings, tmp_path, django_capture_on_commit_callbacks, monkeypatch
):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path}},
    }
    woken = []
    monkeypatch.setattr(import_dictionaries, "delay", lambda: woken.append(1))
    client.force_login(manager)

    def upload(content, **more):
        file = SimpleUploadedFile("MedDRA.zip", content, "application/zip")
        with django_capture_on_commit_callbacks(execute=True):
            return client.post(reverse("meddra"), {"file": file, "language": "en", **more})

    answer = upload(zipped(FIRST.content()).getvalue())
    job = MeddraImport.objects.get()
    assert (answer.url, woken) == (reverse("meddra_import", args=[job.pk]), [1])
    assert b"data-poll" in client.get(answer.url).content
    import_dictionaries()
    job.refresh_from_db()
    assert (job.state, job.percent, job.release.version.version) == (JobState.DONE, 100, "91.0")
    upload(zipped(FIRST.content() | {"llt.asc": b"90000011$Sample ache"}).getvalue())
    upload(b"x", language="zh")
    import_dictionaries()
    first, second = MeddraImport.objects.order_by("pk")[1:]
    page = client.get(reverse("meddra_import", args=[first.pk])).content.decode()
    assert "llt.asc, line 1: 2 fields instead of 11." in page
    assert second.state == JobState.REFUSED
    assert AuditEntry.objects.filter(act="dictionary refused").count() == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # no licensed file stays behind
    assert upload(b"x", language="xx").status_code == 422
    assert upload(b"x", version="new").status_code == 422
    version = MeddraVersion.objects.get()
    assert client.post(reverse("meddra_force", args=[version.pk]), {"reason": ""}).status_code == 422
    assert client.post(reverse("meddra_force", args=[version.pk]), {"reason": "start"}).status_code == 302
    assert b"in force" in client.get(reverse("meddra")).content


def test_an_import_whose_worker_died_is_taken_up_again_and_given_up_at_last(cast, manager, settings, tmp_path):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": tmp_path}},
    }
    job = MeddraImport(asked_by=manager, asked_at=now(), language="en", stored_as="meddra/gone.zip")
    job.state, job.attempts, job.lease_until = JobState.RUNNING, 1, now()
    job.save()
    import_dictionaries()
    job.refresh_from_db()
    assert (job.state, job.problems[0][2]) == (JobState.REFUSED, "gone")
    job.state, job.attempts, job.lease_until = JobState.RUNNING, 3, now()
    job.save()
    import_dictionaries()
    job.refresh_from_db()
    assert (job.state, job.problems[0][2]) == (JobState.REFUSED, "crashed")


def test_the_protocol_says_whether_a_second_person_approves():
    assert CURRENT.dictionaries.coding_approval is True


def test_only_the_import_page_takes_a_large_upload_and_only_from_a_data_manager(client, cast, rf, monkeypatch):
    large = b"\0" * (11 * 1024 * 1024)
    monkeypatch.setattr("adverse_events.meddra.jobs.do_ask", lambda *given: MeddraImport(pk=7))
    client.force_login(cast.data_manager)

    def send(name):
        file = SimpleUploadedFile("MedDRA.zip", large, "application/zip")
        return client.post(reverse(name), {"file": file, "language": "en"}).status_code

    assert send("meddra") == 302
    request = rf.post(reverse("meddra"))
    request.resolver_match = resolve(reverse("meddra"))
    for person, allowed in ((cast.data_manager, True), (cast.coordinator_a, False), (AnonymousUser(), False)):
        request.user = person
        assert (CappedUpload(request)._limit() > len(large)) is allowed
    request.user, request.resolver_match = cast.data_manager, resolve(reverse("coding"))
    assert CappedUpload(request)._limit() < len(large)
