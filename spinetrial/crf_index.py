"""Every CRF of the trial in the order of the schedule. Adding a CRF ends with adding its spec here."""

import adverse_events.crfs
import followup.crfs
import patients.crfs
import radiotherapy.crfs
from spinetrial.crf.spec import CrfSpec

SPECS: tuple[CrfSpec, ...] = (
    *patients.crfs.SPECS,
    *radiotherapy.crfs.SPECS,
    *followup.crfs.SPECS,
    *adverse_events.crfs.SPECS,
)
