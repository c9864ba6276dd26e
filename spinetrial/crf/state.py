"""The state of a field, form, visit, participant, site or trial: one precedence, named here and nowhere else.

What is known of a form is counted in a `Tally`. Tallies add up (field -> form -> visit -> participant -> trial), and
`Tally.state` names the sum: the first line of this table that holds. Adding is free of order, so no screen can come
to another state than the next.

| state | holds when |
|---|---|
| overdue | a visit's window closed and nothing says what happened |
| has_query | a query is open, whatever else holds: no freeze and no signature hides it |
| due | something should be entered now |
| in_window | something can be entered now |
| answered | a query is answered and waits for whoever raised it |
| partial | something is entered and something is not |
| empty | nothing is entered that could be |
| not_yet | its time has not come, or something must come before it |
| not_expected | nobody waits for it |
| locked | everything entered is locked |
| frozen | everything entered is frozen or locked |
| signed | everything entered is under a signature in force |
| verified | there are critical items, and each is verified |
| missed | a visit is recorded as missed, and not yet reviewed |
| done_out_of_window | a visit took place outside its window, and is not yet reviewed |
| complete | everything is entered: saving a form demands every required answer |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum

from spinetrial.protocol.text import gettext_noop


class State(StrEnum):
    """In the order of the table: glyphs are `s-<value>` of img/icons.svg, words are in partials/status_word.html."""

    OVERDUE = "overdue"
    HAS_QUERY = "has_query"
    DUE = "due"
    IN_WINDOW = "in_window"
    ANSWERED = "answered"
    PARTIAL = "partial"
    EMPTY = "empty"
    NOT_YET = "not_yet"
    NOT_EXPECTED = "not_expected"
    LOCKED = "locked"
    FROZEN = "frozen"
    SIGNED = "signed"
    VERIFIED = "verified"
    MISSED = "missed"
    DONE_OUT_OF_WINDOW = "done_out_of_window"
    COMPLETE = "complete"


STATE_LABELS: dict[State, str] = {
    State.OVERDUE: gettext_noop("Overdue"),
    State.HAS_QUERY: gettext_noop("Open query"),
    State.DUE: gettext_noop("Due"),
    State.IN_WINDOW: gettext_noop("Window open"),
    State.ANSWERED: gettext_noop("Answered query"),
    State.PARTIAL: gettext_noop("Partly entered"),
    State.EMPTY: gettext_noop("Nothing entered"),
    State.NOT_YET: gettext_noop("Not yet"),
    State.NOT_EXPECTED: gettext_noop("Not expected"),
    State.LOCKED: gettext_noop("Locked"),
    State.FROZEN: gettext_noop("Frozen"),
    State.SIGNED: gettext_noop("Signed"),
    State.VERIFIED: gettext_noop("Verified"),
    State.MISSED: gettext_noop("Missed"),
    State.DONE_OUT_OF_WINDOW: gettext_noop("Done outside its window"),
    State.COMPLETE: gettext_noop("Complete"),
}

#: What something not entered can be. Each is a count of a Tally by the same name.
BLANK = frozenset({State.OVERDUE, State.DUE, State.IN_WINDOW, State.EMPTY, State.NOT_YET, State.NOT_EXPECTED})


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of forms (or of fields) and of what is known of them. The empty tally is "nobody waits for it"."""

    # not entered
    overdue: int = 0
    due: int = 0
    in_window: int = 0
    empty: int = 0
    not_yet: int = 0
    # entered, and how many of these are signed, frozen, locked
    entered: int = 0
    signed: int = 0
    frozen: int = 0
    locked: int = 0
    # visits recorded as missed, and visits that took place outside their window
    missed: int = 0
    late: int = 0
    #: done without a form, such as the randomisation: nothing to verify or sign
    acts: int = 0
    # queries, and critical items with those verified
    open: int = 0
    answered: int = 0
    critical: int = 0
    verified: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    @property
    def queries(self) -> int:
        """Queries not closed."""
        return self.open + self.answered

    @property
    def state(self) -> State:
        """The first state of the table that holds."""
        blank, done = self.empty + self.not_yet, self.entered + self.acts
        return next(
            state
            for state, holds in (
                (State.OVERDUE, self.overdue),
                (State.HAS_QUERY, self.open),
                (State.DUE, self.due),
                (State.IN_WINDOW, self.in_window),
                (State.ANSWERED, self.answered),
                (State.PARTIAL, blank and done),
                (State.EMPTY, self.empty),
                (State.NOT_YET, self.not_yet),
                (State.NOT_EXPECTED, not done),
                (State.LOCKED, self.entered and self.locked == self.entered),
                (State.FROZEN, self.entered and self.frozen == self.entered),
                (State.SIGNED, self.entered and self.signed == self.entered),
                (State.VERIFIED, self.critical and self.verified == self.critical),
                (State.MISSED, self.missed),
                (State.DONE_OUT_OF_WINDOW, self.late),
                (State.COMPLETE, True),
            )
            if holds
        )


_NAMES = tuple(field.name for field in fields(Tally))
NOTHING = Tally()


def roll_up(tallies: Iterable[Tally]) -> Tally:
    """The sum; of nothing, the empty tally."""
    return sum(tallies, NOTHING)


def not_entered(state: State) -> Tally:
    """The tally of one form (or field) nobody has entered. Raises ValueError for a state of entered ones."""
    if state not in BLANK:
        raise ValueError(f"{state} is no state of something not entered")
    return NOTHING if state is State.NOT_EXPECTED else Tally(**{state.value: 1})


def entered(
    *,
    open: int = 0,
    answered: int = 0,
    critical: int = 0,
    verified: int = 0,
    signed: bool = False,
    frozen: bool = False,
    trial_state: str = "open",
) -> Tally:
    """The tally of one saved form, or of one answered field. `frozen`: by a freeze of its own, its visit or subject."""
    locked = trial_state == "locked"
    return Tally(
        entered=1,
        signed=signed,
        frozen=locked or frozen or trial_state == "frozen",
        locked=locked,
        open=open,
        answered=answered,
        critical=critical,
        verified=min(verified, critical),
    )
