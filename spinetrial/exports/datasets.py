"""The analysis sets as tables: what the report is computed from, one row per participant, visit or event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from followup.response import CATEGORY_LABELS, CLAUSE_LABELS, Category, Clause, NeReason, Reading
from spinetrial.analysis import sets, times
from spinetrial.analysis.data import Column, Kind, Snapshot, Table, Value
from spinetrial.analysis.records import SourceRecord
from spinetrial.analysis.sets import AnalysisRow, AnalysisSet
from spinetrial.analysis.snapshot import SITE, SUBJECT
from spinetrial.protocol import get
from spinetrial.protocol.events import event_title
from spinetrial.protocol.model import Counts, Protocol
from spinetrial.protocol.text import gettext_noop as _
from spinetrial.terminology import ctcae

_CLAUSES = tuple((clause.value, CLAUSE_LABELS[clause]) for clause in Clause)
_CATEGORIES = tuple((category.value, CATEGORY_LABELS[category]) for category in Category)


def analysis_tables(snapshot: Snapshot, *, reveal: bool) -> tuple[Table, ...]:
    """ADSL (participants), ADRS (responses), ADAE (worst grades), ADTTE (times to an event).

    Without `reveal` no arm and no PP flag is in them. `docs/analysis.md` describes every column, its rule and source.
    """
    protocol = get(snapshot.protocol_version)
    analysed = sets.build(snapshot if reveal else snapshot.without_arm(), protocol)
    return (
        _subjects(analysed.rows, snapshot, protocol, reveal),
        _responses(analysed.rows, analysed.visits, protocol, reveal),
        _events(analysed.rows, protocol, reveal),
        _times(analysed.rows, protocol, reveal),
    )


def _arm(protocol: Protocol, reveal: bool) -> tuple[Column, ...]:
    codes = tuple((arm.code, arm.name) for arm in protocol.arms)
    return (Column("arm", _("Arm as randomised"), Kind.TEXT, codes=codes, sdtm="ADSL.TRT01P"),) if reveal else ()


def _table(
    name: str, title: str, columns: Sequence[Column], rows: Iterable[Iterable[Value]], reveals_arm: bool
) -> Table:
    return Table(name, title, reveals_arm, tuple(columns), tuple(tuple(row) for row in rows))


def _subjects(rows: Iterable[AnalysisRow], snapshot: Snapshot, protocol: Protocol, reveal: bool) -> Table:
    traits = []
    for name, table, column in sets.TRAITS:
        source = snapshot.table(table)
        found = next((each for each in source.columns if each.name == column), None) if source else None
        label, codes = (found.label, found.codes) if found else (name, ())
        traits.append(Column(name, label, found.kind if found else Kind.TEXT, codes=codes))
    visit = protocol.primary.timepoint.visit
    reading = Reading(protocol.response.reading)
    columns = [
        SITE, SUBJECT, *_arm(protocol, reveal),
        Column("randomized", _("Date of randomisation"), Kind.DATE, sdtm="ADSL.RANDDT"),
        Column("age", _("Age at randomisation"), Kind.INTEGER, "years", sdtm="ADSL.AGE"),
        *traits,
        Column("nrs_baseline", _("Worst pain at baseline"), Kind.INTEGER, sdtm="ADSL.BASE"),
        Column("omed_baseline", _("OMED at baseline"), Kind.DECIMAL, "mg/day"),
        Column("omed_table", _("Factor table of the OMED"), Kind.TEXT),
        Column("rt_start", _("First fraction"), Kind.DATE, sdtm="ADSL.TRTSDT"),
        Column("rt_end", _("Last fraction"), Kind.DATE, sdtm="ADSL.TRTEDT"),
        Column("fractions", _("Fractions given"), Kind.INTEGER),
        Column("itt", _("In the ITT set"), Kind.BOOLEAN, sdtm="ADSL.ITTFL"),
        Column("safety", _("In the safety set"), Kind.BOOLEAN, sdtm="ADSL.SAFFL"),
        Column("evaluable", _("Evaluable at the primary visit"), Kind.BOOLEAN),
        Column("primary_response", _("Response at the primary visit"), Kind.TEXT, codes=_CATEGORIES),
        Column("primary_responder", _("Responder at the primary visit (NE counts as no)"), Kind.BOOLEAN),
        Column("death", _("Date of death"), Kind.DATE, sdtm="ADSL.DTHDT"),
        Column("last_alive", _("Last date known alive"), Kind.DATE, sdtm="ADSL.LSTALVDT"),
        Column("os_days", _("Overall survival from randomisation"), Kind.INTEGER, "days", sdtm="ADTTE.AVAL"),
        Column("os_event", _("Death (no: censored)"), Kind.BOOLEAN, sdtm="ADTTE.CNSR"),
    ]  # fmt: skip
    columns += [
        *(Column(name, label, Kind.INTEGER) for name, _source, label in _BASELINE_SOURCES),
        Column("alive_table", _("Table of the record that gave the last date known alive"), Kind.TEXT),
        Column("alive_record", _("Number of that record"), Kind.INTEGER),
        Column("death_table", _("Table of the record that gave the death"), Kind.TEXT),
        Column("death_record", _("Number of that record"), Kind.INTEGER),
    ]
    if reveal:
        reasons = tuple((reason.value, sets.PP_REASON_LABELS[reason]) for reason in sets.PpReason)
        columns += [
            Column("pp", _("In the per-protocol set"), Kind.BOOLEAN, sdtm="ADSL.PPROTFL"),
            Column("pp_reasons", _("Why not in the per-protocol set"), Kind.LIST, codes=reasons),
            Column("course_record", _("Record of the radiotherapy course (R.RT)"), Kind.INTEGER),
        ]

    def cells(row: AnalysisRow) -> Iterable[Value]:
        response = row.response(visit)
        yield from (row.site, row.subject, *([row.arm] if reveal else []), row.randomized.isoformat(), row.age)
        yield from (_typed(row.trait(column.name), column.kind) for column in traits)
        yield from (
            row.nrs,
            _decimal(row.omed),
            _factor_table(row.omed, protocol),
            _date(row.rt_start),
            _date(row.rt_end),
            row.fractions,
        )
        yield from (_in(row, AnalysisSet.ITT), _in(row, AnalysisSet.SAFETY), _in(row, AnalysisSet.EVALUABLE))
        yield from (response.category(reading).value, response.responder(reading, protocol))
        end = row.death or row.last_alive
        yield from (_date(row.death), row.last_alive.isoformat(), (end - row.randomized).days, row.death is not None)
        yield from (row.source(source) for _name, source, _label in _BASELINE_SOURCES)
        yield from _from(row.alive_source)
        yield from _from(row.time(times.Parameter.OS).source if row.death else None)
        if reveal:
            yield from (_in(row, AnalysisSet.PP), [reason.value for reason in row.pp_reasons], row.source("R.RT"))

    return _table("ADSL", _("Analysis: participants"), columns, (cells(row) for row in rows), reveal)


#: Column, form and label of the record numbers of the forms kept once.
_BASELINE_SOURCES = (
    ("screen_record", "P.SCREEN", _("Record of the eligibility (P.SCREEN)")),
    ("demographics_record", "P.DM", _("Record of the demographics (P.DM)")),
    ("tumour_record", "P.TUMOUR", _("Record of the tumour (P.TUMOUR)")),
    ("sites_record", "P.SITES", _("Record of the sites of disease (P.SITES)")),
    ("status_record", "P.STATUS", _("Record of the performance status (P.STATUS)")),
    ("pain_record", "P.PAIN", _("Record of the baseline pain (P.PAIN)")),
)


def _from(source: SourceRecord | None) -> Iterable[Value]:
    return (source.table, source.record) if source else (None, None)


def _responses(rows: Iterable[AnalysisRow], visits: Sequence[str], protocol: Protocol, reveal: bool) -> Table:
    columns = [
        SITE, SUBJECT, *_arm(protocol, reveal),
        Column("visit", _("Visit"), Kind.TEXT, codes=tuple((v, event_title(protocol, v)) for v in visits),
               sdtm="ADRS.AVISIT"),
        Column("visit_date", _("Date of the visit"), Kind.DATE, sdtm="ADRS.ADT"),
        Column("in_window", _("Inside the window of the visit"), Kind.BOOLEAN),
        Column("nrs", _("Worst pain"), Kind.INTEGER),
        Column("nrs_source", _("Whose score it is"), Kind.TEXT, codes=_SOURCES),
        Column("nrs_clinic", _("Worst pain noted by the clinic"), Kind.INTEGER),
        Column("nrs_reported", _("Worst pain reported by the participant"), Kind.INTEGER),
        Column("omed", _("OMED"), Kind.DECIMAL, "mg/day"),
        Column("omed_table", _("Factor table of the OMED"), Kind.TEXT),
        *(
            Column(f"response_{reading.value.lower()}", label, Kind.TEXT, codes=_CATEGORIES, sdtm="ADRS.AVALC")
            for reading, label in _READINGS
        ),
        Column("ne_reason", _("Why not evaluable"), Kind.TEXT, codes=tuple(sets.REASON_LABELS.items())),
        Column("missing", _("Response unknown (not decided by death or retreatment)"), Kind.BOOLEAN),
        Column("responder", _("Responder by the protocol's reading (NE counts as no)"), Kind.BOOLEAN),
        Column("rule", _("Clause that gave the category by the protocol's reading"), Kind.TEXT, codes=_CLAUSES),
        Column("baseline_record", _("Record of the baseline pain (P.PAIN)"), Kind.INTEGER),
        Column("visit_record", _("Record of the visit (F.VISIT)"), Kind.INTEGER),
        Column("report_record", _("Record of the participant's own report (F.EPRO)"), Kind.INTEGER),
        Column("omed_source", _("Form whose list of analgesics gave the OMED"), Kind.TEXT),
        Column("treatment_record", _("Visit that reported a further treatment of the index site (F.VISIT)"),
               Kind.INTEGER),
    ]  # fmt: skip
    reading = Reading(protocol.response.reading)

    def cells(row: AnalysisRow, visit: str) -> Iterable[Value]:
        found = row.response(visit)
        yield from (row.site, row.subject, *([row.arm] if reveal else []), visit, _date(found.visit_date))
        yield from (found.in_window, found.nrs, found.nrs_source, found.clinic_nrs, found.reported_nrs)
        yield from (_decimal(found.omed), _factor_table(found.omed, protocol))
        yield from (found.category(each).value for each, _label in _READINGS)
        yield from (found.ne_reason, found.missing, found.responder(reading, protocol), found.clause)
        yield from (row.source("P.PAIN"), found.visit_record, found.report_record, found.omed_source)
        # Named where it decided the category; a treatment after the visit says nothing of it.
        yield row.retreated.source.record if row.retreated and found.ne_reason == NeReason.INTERVENTION else None

    pairs = ((row, visit) for row in rows for visit in visits)
    return _table(
        "ADRS", _("Analysis: pain response per visit"), columns, (cells(row, visit) for row, visit in pairs), reveal
    )


def _factor_table(omed: Decimal | None, protocol: Protocol) -> str | None:
    """Version of the factors behind an OMED; its inputs are the rows of analgesics, exported with their forms."""
    return None if omed is None else protocol.analgesics.table_version


_SOURCES = ((Counts.PARTICIPANT.value, _("Participant")), (Counts.CLINIC.value, _("Clinic")))
_READINGS = (
    (Reading.LITERAL, _("Response, literal reading")),
    (Reading.TOLERANT, _("Response, tolerant reading")),
    (Reading.NRS_ONLY, _("Response, pain score alone")),
)


def _events(rows: Iterable[AnalysisRow], protocol: Protocol, reveal: bool) -> Table:
    columns = [
        SITE, SUBJECT, *_arm(protocol, reveal),
        Column("ctcae_code", _("CTCAE code"), Kind.TEXT, sdtm="ADAE.AELLTCD"),
        Column("term", _("CTCAE term"), Kind.TEXT, sdtm="ADAE.AEDECOD"),
        Column("worst_grade", _("Worst grade"), Kind.INTEGER, sdtm="ADAE.ATOXGR"),
        Column("serious", _("Serious"), Kind.BOOLEAN, sdtm="ADAE.AESER"),
        Column("treated", _("In the safety set"), Kind.BOOLEAN, sdtm="ADAE.SAFFL"),
        Column("records", _("Records of the term (A.AE)"), Kind.LIST),
        Column("worst_records", _("Records with the worst grade (A.AE)"), Kind.LIST),
    ]  # fmt: skip
    cells = (
        (
            row.site, row.subject, *([row.arm] if reveal else []),
            event.code, ctcae.get(event.code).term, event.grade, event.serious, row.treated,
            [str(number) for number in event.records], [str(number) for number in event.worst_records],
        )
        for row in rows
        for event in row.events
    )  # fmt: skip
    return _table("ADAE", _("Analysis: worst grade per participant and term"), columns, cells, reveal)


def _times(rows: Iterable[AnalysisRow], protocol: Protocol, reveal: bool) -> Table:
    statuses = tuple((str(status.value), times.STATUS_LABELS[status]) for status in times.Status)
    columns = [
        SITE, SUBJECT, *_arm(protocol, reveal),
        Column("paramcd", _("Parameter, code"), Kind.TEXT, sdtm="ADTTE.PARAMCD",
               codes=tuple((each.value, times.PARAMETER_LABELS[each]) for each in times.Parameter)),
        Column("param", _("Parameter"), Kind.TEXT, sdtm="ADTTE.PARAM"),
        Column("start", _("Start: randomisation"), Kind.DATE, sdtm="ADTTE.STARTDT"),
        Column("end", _("End: event, death or censoring"), Kind.DATE, sdtm="ADTTE.ADT"),
        Column("days", _("Days from start to end"), Kind.INTEGER, "days", sdtm="ADTTE.AVAL"),
        Column("status", _("How the time ended"), Kind.INTEGER, codes=statuses),
        Column("source_table", _("Table of the record that gave the end"), Kind.TEXT, sdtm="ADTTE.SRCDOM"),
        Column("source_record", _("Number of that record"), Kind.INTEGER, sdtm="ADTTE.SRCSEQ"),
        Column("rule", _("Rule that gave the end"), Kind.TEXT, sdtm="ADTTE.EVNTDESC",
               codes=tuple((each.value, times.RULE_LABELS[each]) for each in times.Rule)),
    ]  # fmt: skip
    cells = (
        (
            row.site, row.subject, *([row.arm] if reveal else []),
            time.parameter.value, times.PARAMETER_LABELS[time.parameter], _date(time.start), _date(time.end),
            time.days, time.status.value, time.source.table, time.source.record, time.rule.value,
        )
        for row in rows
        for time in row.times
    )  # fmt: skip
    return _table("ADTTE", _("Analysis: times to an event"), columns, cells, reveal)


def _in(row: AnalysisRow, which: AnalysisSet) -> bool:
    return bool(sets.members((row,), which))


def _typed(code: str, kind: Kind) -> Value:
    """A trait, kept as text of its code, in the type of its column."""
    if not code:
        return None
    if kind is Kind.BOOLEAN:
        return code == "True"
    return int(code) if kind is Kind.INTEGER else code


def _date(value: object) -> str | None:
    return None if value is None else str(value)


def _decimal(value: object) -> str | None:
    return None if value is None else format(value, "f")
