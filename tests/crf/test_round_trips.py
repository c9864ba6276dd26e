"""Every stored record of every form, reopened and posted back as it stands, is valid and changes nothing.

On the simulated trial, so that rows, conditions and missing reasons are those of a whole course of the study;
`test_drafts.py` has the way from typing to a draft and back.
"""

from collections import Counter

import pytest
from django.http import QueryDict

from patients.models import Subject
from spinetrial.access.gate import SYSTEM, list_records
from spinetrial.audit.clock import at
from spinetrial.crf.drafts import posted_by
from spinetrial.crf.forms import crf_form
from spinetrial.crf.registry import all_specs
from tests.conftest import own_database
from tests.simulated import EVENING


@pytest.fixture
def small_trial(request, simulated_templates, django_db_blocker):
    with own_database(request, simulated_templates(10), django_db_blocker), at(EVENING):
        yield


def test_every_stored_record_comes_back_unchanged(small_trial):
    subjects = {subject.pk: subject for subject in Subject.objects.select_related("site")}
    seen, rows = Counter(), Counter()
    for spec in all_specs():
        for record in list_records(SYSTEM, spec.model, "crf.view").order_by("pk"):
            subject = subjects[record.subject_id]
            event = getattr(record, "event", "")
            shown = crf_form(spec, subject, record=record, event=event)
            data = QueryDict(mutable=True)
            for name, values in posted_by(shown).items():
                data.setlist(name, values)
            again = crf_form(spec, subject, record=type(record).objects.get(pk=record.pk), event=event, data=data)
            assert again.is_valid(), (spec.code, record.pk, again.all_errors())
            assert not again.has_changed(), (spec.code, record.pk, again.changed_data)
            for key, formset in again.formsets.items():
                assert not formset.has_changed(), (spec.code, record.pk, key)
                assert [row.instance.pk for row in formset.kept_forms()] == [
                    row.instance.pk for row in shown.formsets[key].initial_forms
                ], (spec.code, record.pk, key)
                rows[spec.code, key] += len(shown.formsets[key].initial_forms)
            seen[spec.code] += 1
    assert {spec.code for spec in all_specs() if spec.rows} <= set(seen), "every form with rows is in the trial"
    filled = {key for key, count in rows.items() if count}
    assert {(spec.code, group.key) for spec in all_specs() for group in spec.rows} <= filled
