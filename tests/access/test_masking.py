"""The masked see no arm: in no page, file, header or count, and nothing that differs with the arm.

Two worlds are alike but for the arm of one participant, what was drawn for it, and a question about that. Whatever a
masked person can ask for must be the same in both, byte for byte, and hold none of the words that name an arm.
"""

import io
import re
import zipfile
from urllib.parse import unquote

import pypdf
import pytest
from django.core import mail
from django.test import Client
from django.utils import translation

from followup import reminders
from radiotherapy.models import TargetVertebra
from randomization import allocate
from spinetrial.access.gate import masked
from spinetrial.access.models import User
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.clock import at
from spinetrial.exports.archive import Origin, build_zip
from spinetrial.outbox.send import do_send_due
from spinetrial.protocol import CURRENT
from tests.access.matrix import TABLE, rows
from tests.access.walk import Walk
from tests.conftest import own_database
from tests.journey.participants import RANDOMISED
from tests.patients import factory
from tests.world import NOW

#: People of `tests/world.py` from whom the arm is kept. `mixed` may see arms at the other site.
MASKED = ("statistician", "assessor_a", "mixed", "custodian", "administrator", "outsider")
LANGUAGES = ("en", "zh-hans")
#: Here the masked read that the trial has two arms and what they are called; nobody's arm.
DESIGN = ("list_import", "examples")
#: Here `mixed` compares the arms of the other site, where they may be seen; the masked are refused.
COMPARED = {("mixed", "GET safety:arm"), ("mixed", "GET dashboard:arm")}
#: Shows a secret, or the seed of the next simulation, drawn for the person who asks.
DRAWN = ("second_factor_app", "design")


def needles() -> list[str]:
    """What names an arm: codes, names and targets in both languages."""
    words = [rf"\b{arm.code}\b" for arm in CURRENT.arms]
    for language in LANGUAGES:
        with translation.override(language):
            words += [re.escape(translation.gettext(text)) for arm in CURRENT.arms for text in (arm.name, arm.ctv_text)]
    return words


def texts(content: bytes) -> list[str]:
    """The content as text; the pages of a PDF and the files of an archive each."""
    if content.startswith(b"PK"):
        archive = zipfile.ZipFile(io.BytesIO(content))
        return [*archive.namelist(), *(text for name in archive.namelist() for text in texts(archive.read(name)))]
    if content.startswith(b"%PDF"):
        reader = pypdf.PdfReader(io.BytesIO(content))
        return [str(reader.metadata), *(" ".join(page.extract_text().split()) for page in reader.pages)]
    return [content.decode("utf-8", "replace")]


def tells(*parts: bytes | str) -> list[str]:
    """The words of `needles` in the parts of an answer."""
    found = []
    for part in parts:
        for text in texts(part) if isinstance(part, bytes) else [part]:
            found += [match[0] for needle in needles() for match in re.finditer(needle, text)]
    return found


def parts_of(response) -> list[bytes | str]:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    headers = [f"{name}: {unquote(value)}" for name, value in sorted(response.headers.items()) if name != "Expires"]
    return [*headers, content]


def without_chance(parts: list[bytes | str]) -> list[str]:
    """The same without what is drawn anew each time: tokens of forms, hashes, requests, encrypted values.

    Also without the numbers of entries in the trail as CSV: they run on when somebody else does something.
    """
    drawn = (
        rb'(?<=name="csrfmiddlewaretoken" value=")[^"]+|(?<="token": ")[^"]+|(?<=/calendar/)[^"]+(?=\.ics)'
        rb"|\b[0-9a-f]{16,64}\b|\bgAAAA[\w=-]{40,}|(?<=\n)\d+(?=,20)"
    )
    return [re.sub(drawn, b"*", part).decode("latin-1") if isinstance(part, bytes) else part for part in parts]


def difference(one, other) -> str:
    """Where the second answer leaves the first."""
    for first, second in zip(without_chance(one), without_chance(other), strict=True):
        if first != second:
            at_ = next((n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
            return f"{first[max(at_ - 80, 0) : at_ + 80]!r} | {second[max(at_ - 80, 0) : at_ + 80]!r}"
    return ""


@pytest.fixture
def walk(request, worlds, django_db_blocker):
    """Give `database, world = walk(arm)`: the world in which the participant has that arm."""

    def start(arm: str, locked: bool = False):
        template, world = worlds(arm, locked=locked)
        return own_database(request, template, django_db_blocker), world

    return start


@pytest.fixture(scope="module")
def kept():
    """Walks of this module, by arm and language: each is asked for by several tests."""
    return {}


@pytest.fixture
def outputs(walk, kept):
    """Give `outputs(arm, language)`: everything the masked can ask for there, by person and row of the matrix."""

    def asked(arm: str, language: str = "en") -> dict[tuple[str, str], list[bytes | str]]:
        if (arm, language) not in kept:
            database, world = walk(arm)
            with database, at(NOW):
                people, site = Walk(world), world.trial.cast.site_a
                for person in MASKED:
                    assert masked(User.objects.get(pk=world.people[person].pk), site)
                kept[arm, language] = {
                    (person, str(row)): parts_of(people.ask(row, person, **{"accept-language": language}))
                    for row in rows(TABLE)
                    if row.method == "GET" or language == "en"
                    for person in MASKED
                }
        return kept[arm, language]

    return asked


def test_what_the_masked_see_is_the_same_in_either_arm(outputs):
    local, whole = (outputs(arm.code) for arm in CURRENT.arms)
    assert len(local) > 1000
    different = [
        key
        for key in local
        if key[1].split()[1] not in DRAWN and without_chance(local[key]) != without_chance(whole[key])
    ]
    assert different == [], "\n".join(difference(local[key], whole[key]) for key in different[:5])


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_answer_to_the_masked_names_an_arm(outputs, language):
    found = {
        key: words
        for key, parts in outputs("WHOLE", language).items()
        if (words := tells(*parts)) and key[1].split()[1] not in DESIGN and key not in COMPARED
    }
    assert found == {}


def test_the_search_finds_an_arm_where_one_may_be_seen(walk):
    """The same search in the answers to people who may see the arm: page, slip, form, query, trail, list, export."""
    database, world = walk("WHOLE", locked=True)
    with database, at(NOW):
        people = Walk(world)
        for person, name in (
            ("coordinator_a", "subject"),
            ("coordinator_a", "allocation"),
            ("monitor_a", "allocation_slip"),
            ("data_manager", "queries"),
            ("statistician", "export_zip"),
        ):
            row = next(row for row in rows(TABLE) if (row.method, row.name) == ("GET", name))
            assert tells(*parts_of(people.ask(row, person))), (person, name)


@pytest.mark.parametrize("planted", ["drawn as WHOLE", "全椎体", "attachment; filename*=UTF-8''Whole vertebra.pdf"])
def test_a_planted_arm_is_found(planted):
    assert tells(planted)
    assert tells(planted.encode())
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("inner.csv", planted.encode())
    assert tells(target.getvalue())


def test_a_planted_count_that_depends_on_the_arm_is_found(walk, monkeypatch):
    """A fault of the kind the comparison is for: a masked person's page counts rows that only one arm has."""
    key = ("statistician", "GET subject")
    seen = {}
    for arm in ("LOCAL", "WHOLE"):
        database, world = walk(arm)
        with database, at(NOW):
            count = sum(getattr(each, f"ctv{n}") for each in TargetVertebra.objects.all() for n in range(1, 7))
            row = next(row for row in rows(TABLE) if str(row) == key[1])
            seen[arm] = without_chance([*parts_of(Walk(world).ask(row, key[0])), str(count)])
    assert seen["LOCAL"] != seen["WHOLE"]
    assert seen["LOCAL"][:-1] == seen["WHOLE"][:-1]


def uncached(parts: list[bytes | str]) -> bool:
    """Whether neither a browser nor a proxy may keep the answer."""
    headers = dict(part.split(": ", 1) for part in parts[:-1])
    return {"no-store", "private"} <= set(headers["Cache-Control"].split(", ")) and "Cookie" in headers.get("Vary", "")


def test_no_answer_to_anybody_is_kept_by_a_browser_or_a_proxy(outputs, walk):
    assert [key for key, parts in outputs("WHOLE").items() if not uncached(parts)] == []
    database, world = walk("WHOLE", locked=True)
    with database, at(NOW):
        people = Walk(world)
        for row in rows(TABLE):
            for person in ("coordinator_a", "statistician"):
                assert uncached(parts_of(people.ask(row, person))), (str(row), person)


def test_a_planted_answer_that_may_be_kept_is_found():
    assert not uncached(["Cache-Control: max-age=60", "Vary: Cookie", b""])


def test_no_e_mail_names_an_arm(walk):
    for arm in ("LOCAL", "WHOLE"):
        database, world = walk(arm)
        mail.outbox.clear()
        with database, at(factory.noon(RANDOMISED)):
            allocate.do_randomize(world.people["coordinator_a"], world.trial.ready)
            with at(NOW):
                reminders.do_plan()
                assert do_send_due()
        assert len(mail.outbox) >= 3
        for each in mail.outbox:
            assert tells(str(each.message()), each.subject, each.body, *each.to) == []


def test_an_export_for_the_masked_names_no_arm(walk):
    database, _world = walk("WHOLE")
    with database, at(NOW):
        origin = Origin(1, NOW, "0" * 64, "1.0")
        assert tells(build_zip(take_snapshot(), origin, reveal=False)) == []
        assert tells(build_zip(take_snapshot(), origin, reveal=True))


def test_after_the_first_lock_the_statistician_is_no_longer_masked_and_the_assessor_is(walk):
    database, world = walk("WHOLE", locked=True)
    with database, at(NOW):
        address = f"/subjects/{world.trial.followed.code}/"
        for person, sees in (("statistician", True), ("assessor_a", False), ("mixed", False)):
            client = Client()
            client.force_login(world.people[person])
            assert bool(tells(client.get(address).content)) is sees, person
