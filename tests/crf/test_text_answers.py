"""Free text: what a keyboard types is kept in any script and comes out of the exports whole; controls are refused."""

import csv
import io

import pyreadstat
import pytest

from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import AdverseEvent
from patients.crfs import STATUS
from spinetrial.analysis.snapshot import take_snapshot
from spinetrial.audit.acting import acting
from spinetrial.audit.clock import at
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.forms import crf_form, form_data
from spinetrial.crf.save import EntryRefused, enter
from spinetrial.exports.csvfile import write_csv
from spinetrial.exports.sav import write_sav
from tests.followup.helpers import noon, treated
from tests.journey.participants import EVENT, TODAY
from tests.patients import factory

TEXTS = ("吞咽疼痛，放疗第三周 🦴", "ağrı, Schluckstörung, боль", "a\tb", "ألم")


@pytest.fixture
def subject(cast):
    return treated(cast.investigator_a, cast.site_a)


@pytest.mark.parametrize("bad", ["\x07", "\x1b[31m", "\x0b", "\x7f", "\x01", "\x00"])
def test_a_control_character_is_refused_with_a_message_at_the_field(cast, subject, bad):
    with at(noon(TODAY)), pytest.raises(EntryRefused) as refused:
        enter(ADVERSE_EVENT, subject, cast.investigator_a, {**EVENT, "verbatim": f"pain{bad}ful"})
    assert list(refused.value.errors) == ["verbatim"]
    assert len(refused.value.errors["verbatim"]) == 1
    assert AdverseEvent.objects.count() == 0


@pytest.mark.parametrize("number", ["NaN", "sNaN", "-sNaN", "Infinity", "1e400"])
def test_what_is_no_number_is_refused_also_where_a_number_was_saved_before(cast, number):
    """A signalling NaN broke Django's comparison with the stored value."""
    subject = factory.registered(cast.coordinator_a, cast.site_a)
    record = factory.fill(STATUS, subject, cast.coordinator_a)
    with factory.on_day():
        data = form_data(STATUS, {**factory.VALUES["P.STATUS"], "weight_kg": number})
        form = crf_form(STATUS, subject, record=record, data={**data, "seen_version": "1"})
        assert not form.is_valid()
        assert form.has_changed()
    assert list(form.all_errors()) == ["weight_kg"]


def test_texts_of_any_script_come_out_of_every_file_as_they_went_in(cast, subject, tmp_path):
    with at(noon(TODAY)):
        for text in TEXTS:
            enter(ADVERSE_EVENT, subject, cast.investigator_a, {**EVENT, "verbatim": text})
        table = take_snapshot().table("A.AE")
    path = tmp_path / "events.sav"
    path.write_bytes(write_sav(table, "events", noon(TODAY)))
    values, _meta = pyreadstat.read_sav(path, output_format="dict")
    assert set(values["verbatim"]) == set(TEXTS)
    lines = list(csv.DictReader(io.StringIO(write_csv(table).decode("utf-8-sig"))))
    assert {line["verbatim"] for line in lines} == set(TEXTS)


def test_a_reason_goes_on_the_trail_without_control_characters(cast):
    with acting(cast.administrator, "bell\x07 and \x1b[31mred\x00"):
        cast.outsider.full_name = "Renamed"
        cast.outsider.save()
    assert AuditEntry.objects.latest("id").reason == "bell\ufffd and \ufffd[31mred"


def test_a_reason_of_control_characters_alone_is_a_reason_and_no_server_error(cast):
    with acting(cast.administrator, "\x7f\x85"):
        cast.outsider.full_name = "Renamed"
        cast.outsider.save()
    assert AuditEntry.objects.latest("id").reason == "\ufffd"
