"""The roll-up of states: total, free of order, monotone; and the same state on every screen."""

import re
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from followup.crfs import IMAGING
from patients.crfs import DEMOGRAPHICS
from spinetrial.access.models import User
from spinetrial.analysis.overview import overviews
from spinetrial.audit.clock import at
from spinetrial.crf import state
from spinetrial.crf.content import stored
from spinetrial.crf.reviewing import sign, verify
from spinetrial.crf.save import enter
from spinetrial.crf.standing import Standing
from spinetrial.crf.state import BLANK, NOTHING, State, Tally, entered, not_entered, roll_up
from spinetrial.review import freezes, queries, trial
from tests.followup.helpers import change, noon, registered, treated, visit

ANSWERS = {"birth_date": date(1960, 1, 1), "sex": "female", "height_cm": 160}
NO_IMAGING = {"status": "not_done", "not_done_reason": "refused"}
RANK = {each: place for place, each in enumerate(State)}

few = st.integers(0, 2)
forms = st.one_of(
    st.sampled_from(sorted(BLANK)).map(not_entered),
    st.builds(
        entered, open=few, answered=few, critical=few, verified=few, signed=st.booleans(), frozen=st.booleans(),
        trial_state=st.sampled_from(["open", "frozen", "locked"]),
    ),
    st.sampled_from([Tally(acts=1), Tally(missed=1), Tally(late=1)]),
)  # fmt: skip
tallies = st.lists(forms, max_size=6).map(roll_up)


@given(st.lists(forms, max_size=6), st.randoms())
def test_the_roll_up_does_not_depend_on_the_order(members, random):
    mixed = list(members)
    random.shuffle(mixed)
    assert roll_up(members).state is roll_up(mixed).state


@given(tallies, tallies, tallies)
def test_the_roll_up_does_not_depend_on_the_grouping(a, b, c):
    """Field, form, visit, participant, site, trial: whatever is added up first, the sum is the same."""
    assert (a + b) + c == a + (b + c) == roll_up([a, b, c])
    assert a + NOTHING == a


@given(st.builds(Tally, **{field.name: st.integers(0, 3) for field in fields(Tally)}))
def test_every_tally_has_a_state(tally):
    assert tally.state in State


@given(tallies, st.sampled_from(["overdue", "open", "due", "in_window", "answered"]))
def test_trouble_is_never_hidden_by_what_stands_beside_it(tally, trouble):
    worse = replace(tally, **{trouble: getattr(tally, trouble) + 1})
    assert RANK[worse.state] <= RANK[tally.state]
    assert RANK[worse.state] <= RANK[Tally(**{trouble: 1}).state]


@given(tallies, tallies)
def test_the_most_urgent_member_names_the_whole(a, b):
    urgent = [each for each in (a.state, b.state) if RANK[each] < RANK[State.PARTIAL]]
    if urgent:
        assert (a + b).state is min(urgent, key=RANK.__getitem__)
    else:
        assert RANK[(a + b).state] >= RANK[State.PARTIAL]


@given(tallies, tallies)
def test_the_whole_is_only_as_far_as_every_member(a, b):
    """Locked, frozen and signed are said of a whole only if they are true of everything entered in it."""
    for name, allowed in (
        (State.LOCKED, {State.LOCKED}),
        (State.FROZEN, {State.LOCKED, State.FROZEN}),
        (State.SIGNED, {State.LOCKED, State.FROZEN, State.SIGNED}),
    ):
        if (a + b).state is name:
            assert {each.state for each in (a, b) if each.entered} <= allowed


@given(st.builds(entered, open=st.just(0), critical=few, verified=few, signed=st.booleans(), frozen=st.booleans()))
def test_review_moves_a_form_forward_only(form):
    def settled(tally):
        return [State.COMPLETE, State.VERIFIED, State.SIGNED, State.FROZEN, State.LOCKED].index(tally.state)

    for step in ({"verified": form.critical}, {"signed": 1}, {"frozen": 1}, {"frozen": 1, "locked": 1}):
        assert settled(replace(form, **step)) >= settled(form)


@pytest.mark.parametrize(
    ("members", "whole"),
    [
        ([], "not_expected"),
        (["empty", "complete"], "partial"),
        (["not_yet", "signed"], "partial"),
        (["not_expected", "signed"], "signed"),
        (["complete", "overdue"], "overdue"),
        (["locked", "has_query"], "has_query"),
        (["answered", "empty"], "answered"),
        (["verified", "complete, nothing critical"], "verified"),
        (["verified", "complete"], "complete"),
        (["signed", "frozen"], "complete"),
        (["frozen", "locked"], "frozen"),
        (["randomised", "signed"], "signed"),
        (["missed", "signed"], "signed"),
        (["missed", "complete"], "missed"),
    ],
)
def test_the_precedence_by_example(members, whole):
    known = {
        **{each.value: not_entered(each) for each in BLANK},
        "complete": entered(critical=1),
        "complete, nothing critical": entered(),
        "verified": entered(critical=1, verified=1),
        "signed": entered(signed=True),
        "frozen": entered(frozen=True),
        "locked": entered(trial_state="locked"),
        "has_query": entered(open=1, answered=1),
        "answered": entered(answered=1),
        "missed": Tally(missed=1),
        "randomised": Tally(acts=1),
    }
    assert roll_up(known[each] for each in members).state == whole


def test_what_is_entered_is_no_blank():
    with pytest.raises(ValueError, match="signed"):
        not_entered(State.SIGNED)


def test_the_table_names_the_states_in_their_order():
    """The docstring, docs/architecture.md and the enumeration say the same."""
    root = Path(state.__file__).parents[2]
    for text in (state.__doc__, (root / "docs/architecture.md").read_text()):
        lines = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
        named = [line for line in lines if line in set(State)]
        assert named == [each.value for each in State]


# --- with records ---


@pytest.fixture
def saved(cast):
    return enter(DEMOGRAPHICS, registered(cast.coordinator_a, cast.site_a), cast.coordinator_a, ANSWERS)


def seen(record):
    (found,) = [each for each in stored([record.subject_id], [DEMOGRAPHICS]) if each.key == ("P.DM", record.pk)]
    return found.sha256


def shown(record):
    return Standing([record.subject_id]).of_record(DEMOGRAPHICS, record).state


def test_a_form_goes_through_its_states(cast, saved):
    monitor, doctor = (User.objects.get(pk=person.pk) for person in (cast.monitor_a, cast.investigator_a))
    assert shown(saved) == "complete"
    asked = queries.raise_query(monitor, subject=saved.subject, site_id=cast.site_a.pk, spec_code="P.DM",
                                record_id=saved.pk, event="BL", item="height_cm", text="Right?")  # fmt: skip
    assert shown(saved) == "has_query"
    queries.answer(cast.coordinator_a, asked, "Yes.")
    assert shown(saved) == "answered"
    queries.close(monitor, asked, "Thank you.")
    assert shown(saved) == "complete"
    verify(monitor, saved.subject, ("P.DM", saved.pk), seen(saved))
    assert shown(saved) == "verified"
    sign(doctor, saved.subject, {("P.DM", saved.pk): seen(saved)}, scope="form", meaning="reviewed", certify=True)
    assert shown(saved) == "signed"
    part = freezes.do_freeze_part(cast.data_manager, saved.subject, "clean", event="BL")
    assert shown(saved) == "frozen"
    freezes.do_lift(cast.data_manager, part, "one more look")
    assert shown(saved) == "signed"
    trial.do_freeze(cast.data_manager, "ready")
    assert shown(saved) == "frozen"
    trial.do_lock(cast.statistician, "final")
    assert shown(saved) == "locked"


def test_a_change_takes_a_form_back_to_complete(cast, saved):
    verify(cast.monitor_a, saved.subject, ("P.DM", saved.pk), seen(saved))
    enter(DEMOGRAPHICS, saved.subject, cast.coordinator_a, {**ANSWERS, "sex": "male"}, record=saved, reason="typing")
    assert shown(saved) == "complete"


def test_the_fields_of_a_form_add_up_to_its_state(cast, saved):
    def whole():
        standing = Standing([saved.subject_id])
        parts = [standing.of_field(DEMOGRAPHICS, saved, item.name, answered=getattr(saved, item.name) not in (None, ""))
                 for item in DEMOGRAPHICS.items()]  # fmt: skip
        return roll_up(parts), standing.of_record(DEMOGRAPHICS, saved)

    fields_, form = whole()
    assert (fields_.state, fields_.critical) == (form.state, form.critical)
    queries.raise_query(cast.monitor_a, subject=saved.subject, site_id=cast.site_a.pk, spec_code="P.DM",
                        record_id=saved.pk, event="BL", item="height_cm", text="Right?")  # fmt: skip
    fields_, form = whole()
    assert (fields_.state, fields_.open) == (form.state, form.open) == ("has_query", 1)


def test_every_screen_shows_the_same_state(client, cast):
    """Form page, participant page, matrix and trial page say of one visit what the overview says of it."""
    person = cast.coordinator_a
    subject = treated(person, cast.site_a)
    with at(noon(date(2026, 3, 2))):
        record = visit(subject, person, "M3")
        with at(noon(date(2025, 12, 30))):
            enter(IMAGING, subject, person, NO_IMAGING, event="M3")
        change(record, person, date(2025, 12, 20), nrs_worst=4)
        row = overviews(cast.data_manager, [subject])[0]
        form_tally = row.forms["F.VISIT", record.pk]
        client.force_login(cast.data_manager)
        form = client.get(reverse("crf", args=[subject.code, "F.VISIT", "M3"])).context["crf"]["state"]
        assert form == form_tally.state
        cards = client.get(reverse("subject", args=[subject.code])).context["cards"]
        card = next(each for each in cards if each["event"] == "M3")
        assert card["forms"][0].state == form
        assert card["state"] == row.cells["M3"].state
        matrix = client.get(reverse("matrix")).context["matrix"]
        labels = [str(column["label"]) for column in matrix["columns"]]
        assert matrix["rows"][0]["cells"][labels.index("Month 3")]["state"] == row.cells["M3"].state
        table = client.get(reverse("trial")).context["roll_up"]
        assert table["total"]["state"] == row.tally.state


def test_nothing_else_computes_states():
    """A second place that decides between the words of the table would be a second precedence."""
    root = Path(state.__file__).parents[2]
    word = re.compile(r'has_query|"partial"|"verified"|(?<![.\w])State\.(LOCKED|FROZEN|SIGNED|VERIFIED|PARTIAL)')
    allowed = {
        "spinetrial/crf/state.py": "the table",
        "spinetrial/worklists/words.py": "its words",
        "spinetrial/worklists/matrix.py": "filters by name",
        "spinetrial/worklists/worklist.py": "glyph of a task",
        "spinetrial/crf/marks.py": "who verified an item, and when",
        "spinetrial/worklists/sdv.py": "who verified an item, and when",
        "spinetrial/reports/papers.py": "glyph of a verdict on a printed number",
    }
    found = {
        path.relative_to(root).as_posix()
        for top in ("spinetrial", "patients", "radiotherapy", "followup", "adverse_events", "randomization")
        for path in (root / top).rglob("*.py")
        if word.search(path.read_text())
    }
    assert found - set(allowed) == set()
