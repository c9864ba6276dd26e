"""Snapshots made by hand: small trials whose right answers can be counted on paper. No database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from django.utils import translation

from adverse_events.crfs import ADVERSE_EVENT
from followup.crfs import IMAGING, REPORT, VISIT
from patients.crfs import SPECS as PATIENT_SPECS
from patients.models import Milestones
from radiotherapy.crfs import SPECS as RT_SPECS
from spinetrial.analysis import snapshot as reading
from spinetrial.analysis.data import Column, Kind, Snapshot, Table
from spinetrial.protocol import CURRENT, protocol_hash
from spinetrial.protocol.schedule import add_months

ALL_SPECS = (*PATIENT_SPECS, *RT_SPECS, VISIT, IMAGING, REPORT, ADVERSE_EVENT)
START = date(2025, 3, 3)
RT_DAYS = 14
EMPTY = {Kind.TEXT: "", Kind.BOOLEAN: False, Kind.LIST: [], Kind.INTEGER: None, Kind.DECIMAL: None}


@dataclass
class Patient:
    """A randomised participant.

    `visits`: event -> (NRS, OMED or None for unknown, days from the due date). `imaging`: event -> (days from the due
    date, fracture, local control) of the index site. `reports`: event -> (NRS, days from the due date) of the
    participant's own report, without analgesics. `died_of`: cause given in the end-of-study form.
    """

    site: str = "NK"
    number: int = 1
    arm: str = "LOCAL"
    nrs: int = 6
    omed: int = 60
    visits: dict[str, tuple[int | None, int | None, int]] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)
    fractions: int = 10
    death: date | None = None
    right_target: bool = True
    justified: str = ""
    events: list[tuple[str, int]] = field(default_factory=list)
    retreated: date | None = None
    ended: date | None = None
    confirmed: bool = True
    imaging: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    reports: dict[str, tuple[int, int]] = field(default_factory=dict)
    baseline_fracture: bool = False
    died_of: str = ""
    #: Other answers of a form: table -> column -> value. More rows: (table, values), `parent` by its table's name.
    answers: dict[str, dict[str, object]] = field(default_factory=dict)
    rows: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    @property
    def code(self) -> str:
        return f"{self.site}-{self.number:03d}"

    @property
    def randomized(self) -> date:
        return START + timedelta(days=self.number)

    @property
    def rt_end(self) -> date:
        return self.randomized + timedelta(days=RT_DAYS)

    def due(self, event: str) -> date:
        if event == "W2":
            return self.rt_end + timedelta(days=14)
        return add_months(self.rt_end, int(event[1:]))


class Builder:
    """Collects rows as dictionaries; cells that are not given are empty."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.rows: dict[str, list[dict]] = {}
        self.next = 1
        with translation.override(None):
            for spec in ALL_SPECS:
                for source in reading.crf_tables(spec):
                    self.tables[source.table.name] = source.table
            for table in (reading.allocation_table().table, reading.arm_table()):
                self.tables[table.name] = table
            own = [reading._field(reading.Subject, name) for name in ("number", "first_contact")]
            dates = [f for f in Milestones._meta.concrete_fields if f.name not in reading._LEFT_OUT]
            columns = (reading.SITE, reading.SUBJECT, *(reading._column(f) for f in (*own, *dates)))
            self.tables["SUBJECTS"] = Table("SUBJECTS", "Participants and milestones", False, columns, ())
        sites = (Column("code", "Code", Kind.TEXT), Column("name", "Name", Kind.TEXT))
        self.tables["SITES"] = Table("SITES", "Study sites", False, sites, (("NK", "North"), ("SH", "South")))

    def add(self, table: str, patient: Patient, **values: object) -> int:
        number = self.next
        self.next += 1
        row = {"site_code": patient.site, "subject": patient.code, "record": number, **values}
        row |= patient.answers.get(table, {})
        unknown = set(row) - {column.name for column in self.tables[table].columns} - {"record"}
        assert not unknown, f"{table} has no column {unknown}"
        self.rows.setdefault(table, []).append(row)
        return number

    def snapshot(self) -> Snapshot:
        filled = []
        for name, table in self.tables.items():
            rows = tuple(
                tuple(row.get(column.name, EMPTY.get(column.kind)) for column in table.columns)
                for row in self.rows.get(name, [])
            )
            filled.append(replace(table, rows=rows) if rows else table)
        return Snapshot(CURRENT.version, protocol_hash(CURRENT), tuple(filled))


def make_snapshot(patients: list[Patient], screen_failures: int = 0) -> Snapshot:
    builder = Builder()
    for patient in patients:
        _patient(builder, patient)
    for number in range(screen_failures):
        failed = Patient(number=900 + number)
        builder.add("SUBJECTS", failed, number=failed.number, first_contact="2025-03-01", not_eligible_on="2025-03-02")
        record = builder.add("P.FAIL", failed, failed_on="2025-03-02", reason="criteria")
        builder.add("P.FAIL.criteria", failed, parent=record, criterion="INC3")
    return builder.snapshot()


def _patient(builder: Builder, patient: Patient) -> None:
    treated = patient.fractions > 0
    builder.add(
        "SUBJECTS", patient, number=patient.number, first_contact=START.isoformat(),
        consent_date=START.isoformat(), eligible_on=START.isoformat(), randomized_on=patient.randomized.isoformat(),
        rt_start=patient.randomized.isoformat() if treated else None,
        rt_end=patient.rt_end.isoformat() if treated else None, fractions_given=patient.fractions,
        rt_completed=treated, never_irradiated=not treated,
        death_date=patient.death.isoformat() if patient.death else None,
        death_source="P.EOS" if patient.died_of else "", target_levels="T12" if treated else "",
        followup_ended_on=patient.ended.isoformat() if patient.ended else None,
    )  # fmt: skip
    builder.add("P.SCREEN", patient, confirmed=patient.confirmed)
    builder.add("P.DM", patient, birth_date="1960-05-17", sex="female" if patient.number % 2 else "male")
    builder.add("P.TUMOUR", patient, site="lung", visceral_metastases=False)
    builder.add("P.STATUS", patient, ecog=1, kps=80)
    sites = builder.add("P.SITES", patient, index_level="T12", escc="1a")
    if all(table != "P.SITES.sites" for table, _values in patient.rows):
        builder.add("P.SITES.sites", patient, parent=sites, level="T12", fracture=patient.baseline_fracture)
    pain = builder.add(
        "P.PAIN", patient, assessed_on=START.isoformat(), nrs_worst=patient.nrs,
        analgesics="some" if patient.omed else "none",
    )  # fmt: skip
    _morphine(builder, "P.PAIN.analgesics_taken", patient, pain, patient.omed)
    builder.add("ARM", patient, arm=patient.arm)
    builder.add("ALLOCATION", patient, number=f"{patient.site}-R{patient.number:03d}", stratum=patient.site)
    course = builder.add("R.RT", patient)
    whole = (patient.arm == "WHOLE") == patient.right_target
    ctv = range(1, 7) if whole else (1, 2, 6)
    builder.add(
        "R.RT.targets", patient, parent=course, level="T12", gtv1=True, sector_remark=patient.justified,
        **{f"ctv{n}": True for n in ctv},
    )  # fmt: skip
    for event, (nrs, omed, shift) in patient.visits.items():
        day = patient.due(event) + timedelta(days=shift)
        form = builder.add(
            "F.VISIT", patient, event=event, status="done", visit_date=day.isoformat(), nrs_worst=nrs,
            nrs_missing="" if nrs is not None else "refused",
            analgesics="unknown" if omed is None else "some" if omed else "none", survival="alive",
            index_treatment="radiotherapy" if patient.retreated else "none",
            index_treatment_date=patient.retreated.isoformat() if patient.retreated else None,
        )  # fmt: skip
        _morphine(builder, "F.VISIT.analgesics_taken", patient, form, omed)
    for event, reason in patient.missed.items():
        builder.add("F.VISIT", patient, event=event, status="missed", missed_reason=reason, survival="alive")
    for event, (shift, fracture, control) in patient.imaging.items():
        day = patient.due(event) + timedelta(days=shift)
        record = builder.add("F.IMAGING", patient, event=event, status="done", imaging_date=day.isoformat())
        builder.add(
            "F.IMAGING.vertebrae", patient, parent=record, level="T12", fracture=fracture, local_control=control
        )
    for event, (nrs, shift) in patient.reports.items():
        day = patient.due(event) + timedelta(days=shift)
        builder.add("F.EPRO", patient, event=event, answered_on=day.isoformat(), nrs_worst=nrs, analgesics="none")
    if patient.death and patient.died_of:
        builder.add("P.EOS", patient, status="dead", ended_on=patient.death.isoformat(), death_cause=patient.died_of)
    for code, grade in patient.events:
        builder.add("A.AE", patient, ctcae_code=code, grade=grade, onset_date=patient.randomized.isoformat())
    for table, values in patient.rows:
        above = [row for row in builder.rows.get(values.get("parent", ""), ()) if row["subject"] == patient.code]
        builder.add(table, patient, **{**values, **({"parent": above[0]["record"]} if above else {})})


def _morphine(builder: Builder, table: str, patient: Patient, parent: int, omed: int | None) -> None:
    if omed:
        builder.add(table, patient, parent=parent, drug="MORPHINE_PO", dose=str(omed), times="1")


def responder(number: int, arm: str, **more) -> Patient:
    """Complete response at every visit, ten fractions, the right target."""
    visits = {"W2": (2, 60, 0), "M3": (0, 60, 0), "M6": (1, 60, 0)}
    return Patient(number=number, arm=arm, visits=more.pop("visits", visits), **more)


def failure(number: int, arm: str, **more) -> Patient:
    """Unchanged pain at every visit."""
    visits = {"W2": (6, 60, 0), "M3": (6, 60, 0), "M6": (6, 60, 0)}
    return Patient(number=number, arm=arm, visits=more.pop("visits", visits), **more)


def two_arms(study: tuple[int, int], control: tuple[int, int]) -> list[Patient]:
    """Responders and failures of each arm, in that order."""
    patients = []
    for arm, (good, bad) in (("LOCAL", study), ("WHOLE", control)):
        for make, count in ((responder, good), (failure, bad)):
            patients += [make(len(patients) + 1 + n, arm) for n in range(count)]
    return patients
