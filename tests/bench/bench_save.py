"""What the whole layer (rights, locks, versions, trail, checks, queries) costs on top of a bare Django save.

Both sides get the same posted data of the same form, a follow-up visit with two analgesics: bare is Django's own
ModelForm and formset, `is_valid()` and `save()` in one transaction on tables without triggers; ours is `crf_form`,
`is_valid()` and `save_record`. They take turns in one run; only the ratio of the medians means something. The bare
side is timed twice: with Django's way to ask about constraints, one by one, and with ours (`OneCheckModel`).
"""

import statistics
import time
from datetime import date

from django.db import connection, models, transaction
from django.forms.models import inlineformset_factory, modelform_factory

from followup.crfs import VISIT
from followup.models import Visit, VisitAnalgesic
from spinetrial.audit.clock import at
from spinetrial.crf.forms import crf_form, form_data
from spinetrial.crf.models import OneCheckModel
from spinetrial.crf.save import enter, save_record
from tests.cast import make_cast
from tests.followup.helpers import DONE, MORPHINE, noon, treated

ROUNDS, SAVES, LIMIT = 9, 15, 2.0
PARACETAMOL = {"drug": "PARACETAMOL", "dose": "500", "times": "3", "use": "scheduled"}
ANSWERS = {**DONE, "analgesics": "some"}
ITEMS = [item.name for item in VISIT.items()]
BareForm = modelform_factory(Visit, fields=ITEMS)
BareRows = inlineformset_factory(
    Visit, VisitAnalgesic, fk_name="parent", fields=[item.name for item in VISIT.rows[0].items], extra=1
)


def posted(record, nrs):
    rows = [
        {"id": row.pk, **drug}
        for row, drug in zip(VisitAnalgesic.objects.filter(parent=record), (MORPHINE, PARACETAMOL), strict=True)
    ]
    rows[0]["times"] = str(1 + nrs % 4)
    values = {**ANSWERS, "nrs_worst": nrs}
    data = form_data(VISIT, values, {VISIT.rows[0].key: rows})
    return {**data, "seen_version": str(record.row_version)}


def bare(record, nrs):
    data = posted(record, nrs)
    started = time.perf_counter()
    with transaction.atomic():
        instance = Visit.objects.get(pk=record.pk)
        form = BareForm(data, instance=instance)
        rows = BareRows(data, instance=instance, prefix=VISIT.rows[0].key)
        assert form.is_valid(), form.errors
        assert rows.is_valid(), rows.errors
        form.save()
        rows.save()
    return time.perf_counter() - started


def ours(record, actor, nrs):
    data = posted(record, nrs)
    started = time.perf_counter()
    instance = Visit.objects.get(pk=record.pk)
    form = crf_form(VISIT, instance.subject, record=instance, data=data)
    assert form.is_valid(), form.all_errors()
    save_record(form, actor, "measured")
    return time.perf_counter() - started


def triggers(owner, verb):
    with owner.cursor() as cursor:
        for table in connection.introspection.table_names():
            if not table.startswith("django_"):
                cursor.execute(f'ALTER TABLE "{table}" {verb} TRIGGER USER')


def test_whole_layer_costs_at_most_twice_a_bare_save(committed_db, owner_connection, capsys, monkeypatch):
    with at(noon(date(2026, 3, 2))):
        people = make_cast()
        subject = treated(people.coordinator_a, people.site_a)
        rows = {VISIT.rows[0].key: [MORPHINE, PARACETAMOL]}
        record = enter(VISIT, subject, people.coordinator_a, ANSWERS, rows, event="M3")
        times = {"bare": [], "bare, one check": [], "ours": []}
        for turn in range(ROUNDS):
            triggers(owner_connection, "DISABLE")
            with monkeypatch.context() as patch:
                patch.setattr(OneCheckModel, "validate_constraints", models.Model.validate_constraints)
                plain = [bare(record, (turn + n) % 10) for n in range(SAVES)]
            quick = [bare(record, (turn + n + 1) % 10) for n in range(SAVES)]
            triggers(owner_connection, "ENABLE")
            whole = []
            for n in range(SAVES):
                record.refresh_from_db()
                whole.append(ours(record, people.coordinator_a, (turn + n + 2) % 10))
            if turn:  # the first round fills caches
                for side, measured in zip(times, (plain, quick, whole), strict=True):
                    times[side] += measured
    middle = {side: statistics.median(measured) * 1000 for side, measured in times.items()}
    with capsys.disabled():
        print("\nsave of a follow-up visit with two analgesics, medians of", len(times["ours"]))
        for side, milliseconds in middle.items():
            print(f"  {side:16} {milliseconds:6.1f} ms   whole layer / this: {middle['ours'] / milliseconds:.2f}")
    assert middle["ours"] / middle["bare"] <= LIMIT
