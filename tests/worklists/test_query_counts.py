"""Lists and the page of a participant ask the database the same number of questions for 10 people as for 66."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from followup.models import Visit
from patients.models import Subject
from spinetrial.access.models import User
from spinetrial.audit.clock import at
from tests.conftest import own_database
from tests.simulated import EVENING

#: Page and reader -> questions to the database. A number that must change is changed here, with a reason in the commit.
COUNTS = {
    ("matrix", "data-manager"): 31,
    ("matrix", "coordinator-bj"): 31,
    ("worklist", "data-manager"): 9,
    ("worklist", "coordinator-bj"): 51,
    ("worklist", "assessor-bj"): 44,
    ("worklist", "statistician"): 8,
    ("queries", "monitor-bj"): 9,
    ("safety", "data-manager"): 12,
    ("messages", "coordinator-bj"): 7,
    ("sdv", "monitor-bj"): 23,
    ("signing", "investigator-bj"): 24,
    ("coming", "coordinator-bj"): 11,
    ("dashboard", "data-manager"): 22,
    ("query_listing", "monitor-bj"): 7,
    ("query_metrics", "data-manager"): 10,
    ("audit_trail", "data-manager"): 10,
    ("sign_off", "data-manager"): 14,
    ("factors", "data-manager"): 6,
    ("examples", "data-manager"): 6,
    ("trial", "data-manager"): 64,
    ("coding", "data-manager"): 10,
    ("sae_reconciliation", "data-manager"): 14,
    ("design", "statistician"): 7,
    ("accounts", "administrator"): 9,
}


def asked(client, address) -> int:
    client.get(address)  # the session and what the process keeps
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.parametrize("patients", [10, 66])
def test_the_number_of_questions_does_not_grow(request, client, simulated_templates, django_db_blocker, patients):
    with own_database(request, simulated_templates(patients), django_db_blocker), at(EVENING):
        assert Subject.objects.count() > patients
        found = {}
        for page, reader in COUNTS:
            client.force_login(User.objects.get(username=reader))
            found[page, reader] = asked(client, reverse(page))
        assert found == COUNTS


#: The page of one participant: more visits, events and queries of the same person ask no more.
SUBJECT_PAGE = {"data-manager": 61, "coordinator": 61, "assessor": 56, "statistician": 57}


def test_the_page_of_a_participant_with_a_long_history_asks_no_more(client, simulated_trial):
    visits = {subject: Visit.objects.filter(subject=subject).count() for subject in simulated_trial.subjects()}
    treated = [subject for subject, count in visits.items() if count]
    short, long = (choose(treated, key=lambda subject: visits[subject]) for choose in (min, max))
    assert visits[long] >= visits[short] + 3
    found = {}
    for reader in SUBJECT_PAGE:
        counts = set()
        for subject in (short, long):
            name = reader if reader in ("data-manager", "statistician") else f"{reader}-{subject.site.code.lower()}"
            client.force_login(simulated_trial.person(name))
            counts.add(asked(client, reverse("subject", args=[subject.code])))
        found[reader] = counts
    assert found == {reader: {count} for reader, count in SUBJECT_PAGE.items()}
