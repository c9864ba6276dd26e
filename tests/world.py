"""A small finished world for the tests that walk every address: the trial of `journey.participants` and its people.

Its databases are made once per session by the fixture `worlds`; walking tests clone one and take back each request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

from allauth.mfa.models import Authenticator
from django.db import transaction

from adverse_events.facts import canonical, digest, facts_of
from adverse_events.models import AdverseEvent
from adverse_events.reports import do_sign_report
from radiotherapy.models import Course
from randomization.models import RandomizationList
from spinetrial.access.models import AccessReview, Membership, User
from spinetrial.access.policy import Role
from spinetrial.access.review import do_review, in_force
from spinetrial.analysis.lock import do_lock_trial
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.crf.content import stored
from spinetrial.crf.registry import get_spec
from spinetrial.crf.reviewing import sign, verify
from spinetrial.outbox.models import Message, MessageState
from spinetrial.review import trial
from spinetrial.review.freezes import do_freeze_part
from spinetrial.review.models import Freeze, Query, Signature
from spinetrial.review.queries import raise_query
from tests.cast import SETUP
from tests.journey.participants import TODAY, Trial, make_trial
from tests.patients import factory

#: The moment at which these tests look.
NOW = factory.noon(TODAY)


@dataclass
class World:
    """`people`: one account per role and site (coordinator_a ... monitor_b, data_manager ...), and those below.

    `outsider` has an account and no membership, `ended` was coordinator at site A until yesterday, `future` will be
    from tomorrow, `mixed` is coordinator at B and imaging assessor at A. `everyone` holds every role at A. `locked_out`
    failed too often, and has a second factor.
    """

    trial: Trial
    people: dict[str, User]
    sealed: RandomizationList
    query: Query
    arm_query: Query
    event: AdverseEvent
    message: Message
    freeze: Freeze
    review: AccessReview
    membership: Membership
    locked: bool = False


def make_world(arm: str) -> World:
    """Commit the world in which participant `followed` was allocated to `arm`."""
    with at(factory.noon(factory.BEFORE)):
        made = make_trial(arm)
    cast = made.cast
    people = {name: user for name, user in cast.everyone().items() if name != "investigator_a"}
    people["everyone"] = cast.investigator_a
    more = {
        "investigator_a": [(Role.INVESTIGATOR, cast.site_a, None, None)],
        "assessor_b": [(Role.ASSESSOR, cast.site_b, None, None)],
        "monitor_b": [(Role.MONITOR, cast.site_b, None, None)],
        "ended": [(Role.COORDINATOR, cast.site_a, None, TODAY - timedelta(days=1))],
        "future": [(Role.COORDINATOR, cast.site_a, TODAY + timedelta(days=1), None)],
        "mixed": [(Role.ASSESSOR, cast.site_a, None, None), (Role.COORDINATOR, cast.site_b, None, None)],
    }
    with at(factory.noon(factory.BEFORE)), acting(SETUP, "test"):
        for name, memberships in more.items():
            username = f"{name.replace('_', '-')}-2" if name == "investigator_a" else name.replace("_", "-")
            people[name] = user = User(username=username, full_name=name.title(), email=f"{name}@example.org")
            user.password = cast.outsider.password
            user.save()
            for role, site, starts, ends in memberships:
                Membership(user=user, role=role, site=site, starts=starts or date(2020, 1, 1), ends=ends).save()
        # Somebody for the pages that unlock an account and take a second factor away.
        people["locked_out"] = user = User(username="locked-out", full_name="Locked Out", locked_at=NOW)
        user.save()
        Authenticator(user=user, type=Authenticator.Type.TOTP, data={}, created_at=NOW).save()
        Membership.objects.update(trained_on=date(2020, 1, 1), delegated_on=date(2020, 1, 1))
    course = Course.objects.get(subject=made.followed)
    with at(NOW):
        frozen = do_freeze_part(cast.data_manager, made.failed, "screening failed")
        for code in ("P.DM", "R.RT"):
            spec = get_spec(code)
            (shown,) = stored([made.followed.pk], [spec])
            verify(cast.monitor_a, made.followed, shown.key, shown.sha256)
            sign(
                people["investigator_a"],
                made.followed,
                {shown.key: shown.sha256},
                meaning=Signature.Meaning.REVIEWED,
                scope=Signature.Scope.FORM,
                event=shown.event,
                certify=True,
            )
        # Questions on a form that shows the arm: the last thing written, in other words and number in either world.
        arm_query, *_more = [
            raise_query(
                cast.data_manager,
                subject=made.followed,
                site_id=cast.site_a.pk,
                spec_code="R.RT",
                record_id=course.pk,
                event="RT",
                item="targets",
                text=f"Does the CTV fit the arm {arm}?",
            )
            for _number in range(1 + (arm == "WHOLE"))
        ]
    with at(NOW):
        found = AdverseEvent.objects.select_related("subject__site").get()
        do_sign_report(
            people["investigator_a"], found, seen=digest(canonical(facts_of(found))), kind="initial", certify=True
        )
        review = do_review(cast.administrator, in_force(), "")
    return World(
        trial=made,
        people=people,
        sealed=RandomizationList.objects.get(site=cast.site_a),
        query=made.query,
        arm_query=arm_query,
        event=AdverseEvent.objects.get(),
        message=Message.objects.filter(state=MessageState.PLANNED).first(),
        freeze=frozen,
        review=review,
        membership=Membership.objects.get(user=cast.coordinator_b),
    )


def lock_once(world: World) -> World:
    """The same, after a lock that made data version 1 and was taken back: the statistician is no longer masked."""
    manager, statistician = world.people["data_manager"], world.people["statistician"]
    with at(NOW):
        trial.do_freeze(manager, "all entered")
        do_lock_trial(statistician, "first analysis")
        trial.do_unlock(manager, "late query")
        trial.do_unfreeze(manager, "late query")
    return World(**{**vars(world), "locked": True})


@contextmanager
def taken_back() -> Iterator[None]:
    """Nothing that happens inside stays in the database."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
