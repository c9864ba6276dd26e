"""The simulated trial: the same every time, whole in its audit trail, with everything in it that a trial meets."""

import hashlib
from datetime import date

import pytest
from django.apps import apps
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection

from adverse_events.models import AdverseEvent
from followup.models import Visit
from followup.visits import expected_visits_of
from patients.models import Milestones, ScreenFailure, Subject
from randomization.models import AllocatedArm, Allocation
from spinetrial.access.models import StudySite, User
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.chain import broken_links
from spinetrial.audit.models import AuditEntry
from spinetrial.review.models import Query, QueryMessage
from tests.conftest import drop, own_database, simulated_database, use_database
from tests.simulated import EVENING, LAST_DAY

SMALL = 10
#: Encrypted with a fresh salt, and what is computed from it: hashes of entries and of lists.
NOT_COMPARED = {"password", "hash", "prev_hash", "head", "request"}
ENCRYPTED = {"patients_contact", "randomization_randomizationlist", "randomization_slot"}


def content() -> dict[str, str]:
    """Table -> digest of all rows without what is drawn at random by design."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models():
            table = model._meta.db_table
            if model._meta.app_label in ("sessions", "contenttypes", "auth") or table in ENCRYPTED:
                continue
            names = [field.column for field in model._meta.concrete_fields if field.name not in NOT_COMPARED]
            columns = ", ".join(f'"{name}"' for name in names)
            cursor.execute(f'SELECT {columns} FROM "{table}" ORDER BY "{model._meta.pk.column}"')
            rows = [row for row in cursor.fetchall() if not ENCRYPTED & set(map(str, row))]
            found[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


def test_the_same_seed_gives_the_same_trial(
    request, template_database, simulated_templates, django_db_setup, django_db_blocker
):
    """Every table of both databases, audit trail included: order of acts, clock, numbers and text."""
    dumps, snapshots = [], []
    with own_database(request, simulated_templates(SMALL), django_db_blocker):
        dumps.append(content())
        snapshots.append(take_snapshot().sha256())
    with django_db_blocker.unblock():
        shared = connection.settings_dict["NAME"]
        again = simulated_database(template_database, SMALL)
        use_database(again)
        try:
            dumps.append(content())
            snapshots.append(take_snapshot().sha256())
        finally:
            use_database(shared)
            drop(again)
    assert len(dumps[0]) > 30
    assert {table for table in dumps[0] if dumps[0][table] != dumps[1][table]} == set()
    assert snapshots[0] == snapshots[1]


def test_everything_a_trial_meets_is_there(simulated_trial):
    """One test, because each database of one's own takes time."""
    assert Allocation.objects.count() == 66
    assert set(AllocatedArm.objects.values_list("arm", flat=True)) == {"LOCAL", "WHOLE"}
    assert StudySite.objects.count() == 2
    assert Subject.objects.filter(site__code="BJ").exists()
    assert Subject.objects.filter(site__code="CD").exists()

    assert broken_links() == []
    assert not AuditEntry.objects.filter(simulated=False).exists()
    assert AuditEntry.objects.latest("at").at <= EVENING

    failures = ScreenFailure.objects.count()
    screening = Milestones.objects.filter(eligible_on=None, not_eligible_on=None).count()
    assert failures >= 10
    assert screening == 3
    assert Milestones.objects.filter(death_date__isnull=False, randomized_on__isnull=False).exists()
    assert Milestones.objects.filter(rt_completed=True, fractions_given__lt=10).exists()
    assert Visit.objects.filter(status="missed").exists()
    assert any(event.serious for event in AdverseEvent.objects.all())
    assert len(set(AdverseEvent.objects.values_list("ctcae_code", flat=True))) >= 4
    assert AuditEntry.objects.filter(table_name="followup_visit", act="update").exists()

    assert Query.objects.exclude(check_code="").exists()
    assert set(Query.objects.values_list("state", flat=True)) == {"open", "answered", "closed"}
    assert QueryMessage.objects.exists()

    subjects = list(Subject.objects.select_related("site"))
    states = {str(visit.state) for visits in expected_visits_of(subjects).values() for visit in visits}
    assert {"done", "done_out_of_window", "missed"} <= states

    assert mail.outbox == []
    assert not User.objects.exclude(email__endswith="@example.org").exists()


def test_nothing_lies_after_the_last_day(simulated_trial):
    with connection.cursor() as cursor:
        for model in apps.get_models():
            for field in model._meta.concrete_fields:
                if field.get_internal_type() == "DateField" and hasattr(model, "site_path"):
                    if field.name in ("due", "planned_start"):
                        continue
                    cursor.execute(f'SELECT max("{field.column}") FROM "{model._meta.db_table}"')
                    latest = cursor.fetchone()[0]
                    assert latest is None or latest <= LAST_DAY, f"{model.__name__}.{field.name}"


def test_only_an_empty_database_that_is_marked_can_be_filled(committed_db):
    with pytest.raises(CommandError, match="mark_demo"):
        call_command("simulate_trial", patients=1, seed=1, until=date(2026, 11, 20))
    assert not AuditEntry.objects.exists()


def test_a_marked_database_in_use_is_not_filled(simulated_trial):
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("simulate_trial", patients=1, seed=1)
