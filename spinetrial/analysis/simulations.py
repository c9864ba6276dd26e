"""Simulations of the whole trial asked for on the screen; a worker runs them.

A simulation holds no patient's data and belongs to no site: whoever may see the page of sample size and power may see
every one of them, also with a right that is held at one site only.
"""

from __future__ import annotations

import secrets

from django.db import transaction
from django.db.models import QuerySet

from spinetrial import __version__
from spinetrial.access.gate import SYSTEM, check_may, get_record
from spinetrial.access.models import User
from spinetrial.analysis.models import Simulation
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.clock import now
from spinetrial.jobs import JobRefused, JobState, Kind, Tell, wake
from spinetrial.protocol.model import Protocol
from spinetrial.stats.trial_simulation import TrialScenario, simulate_trials

ACTION = "design.view"

#: Simulations of one person that may wait or run at a time.
MOST_WAITING = 3

#: Seeds are 0 to this; a positive integer of the database.
LARGEST_SEED = 2**31 - 1


class TooManyWaiting(Exception):
    """The person has as many simulations waiting as one may have."""


def new_seed() -> int:
    """A seed for somebody who gave none. The simulation repeats it exactly, so it need not be drawn well."""
    return secrets.randbelow(LARGEST_SEED + 1)


def do_ask(actor: User, protocol: Protocol, scenario: TrialScenario, trials: int, seed: int) -> Simulation:
    """Write the job and wake the worker. Raises PermissionDenied, and TooManyWaiting."""
    from spinetrial.analysis.tasks import run_simulations

    check_may(actor, ACTION, None)
    with transaction.atomic():
        if SIMULATIONS.rows().filter(asked_by=actor, state__in=(JobState.WAITING, JobState.RUNNING)).count() >= (
            MOST_WAITING
        ):
            raise TooManyWaiting
        job = Simulation(
            asked_by=actor,
            asked_at=now(),
            scenario=scenario.stored(),
            protocol_version=protocol.version,
            software_version=__version__,
            trials=trials,
            seed=seed,
        )
        job.save()
        with acting(actor):
            detail = {"simulation": job.pk, "trials": trials, "seed": seed, "scenario": job.scenario}
            record_event("simulation asked for", user_id=actor.pk, detail=detail)
        wake(run_simulations)
    return job


def _work(job: Simulation, tell: Tell) -> None:
    told = 0

    def done(trials: int) -> None:
        # One row update per per cent at most.
        nonlocal told
        percent = 99 * trials // job.trials
        if percent > told:
            told = percent
            tell(percent, "draw")

    try:
        job.result = simulate_trials(job.read_scenario(), job.trials, job.seed, done).stored()
    except (ValueError, TypeError, KeyError):
        # What the form lets through can be simulated; a row written by another version of the program may not.
        raise JobRefused(["scenario"]) from None


SIMULATIONS = Kind(Simulation, ACTION, _work)


def recent(actor: User) -> QuerySet[Simulation]:
    """The last simulations, newest first. Raises PermissionDenied."""
    check_may(actor, ACTION, None)
    return SIMULATIONS.rows().select_related("asked_by")[:5]


def get_simulation(actor: User, pk: int) -> Simulation:
    """The simulation of that number. Raises PermissionDenied and Http404."""
    check_may(actor, ACTION, None)
    return get_record(SYSTEM, Simulation, ACTION, pk=pk)
