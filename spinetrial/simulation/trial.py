"""A synthetic trial, entered by the same services as the screens, at past dates.

Each invented participant is a generator that yields the time at which its next act happens; a queue runs the acts of
all of them in the order of time, so that the allocation, the audit trail and the queries come about as in life. The
same seed, number and last day give the same data.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core import mail

from adverse_events.baseline import conditions_of
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.facts import canonical, digest, facts_of
from adverse_events.models import AdverseEvent, ReportKind
from adverse_events.reports import do_record_sending, do_sign_report
from followup import questionnaire
from followup.crfs import IMAGING, VISIT
from followup.models import Channel
from followup.visits import expected_visits
from patients.crfs import (
    CONSENT,
    DEMOGRAPHICS,
    END_OF_STUDY,
    PAIN,
    SCREEN_FAILURE,
    SCREENING,
    SITES,
    STATUS,
    TUMOUR,
)
from patients.crfs import SPECS as PATIENT_SPECS
from patients.eligibility import asks_answer, assess, seen_of
from patients.models import Subject
from patients.subjects import do_register
from radiotherapy.crfs import COURSE
from radiotherapy.record_fraction import course_of, do_record_fraction
from randomization.allocate import do_randomize
from randomization.arms import arms_for
from randomization.lists import do_import, do_seal
from randomization.permuted_blocks import generate
from spinetrial.access.gate import SYSTEM, list_records, of_subject
from spinetrial.access.models import StudySite, User
from spinetrial.access.policy import Role
from spinetrial.audit.clock import at, now
from spinetrial.crf.content import Stored, stored
from spinetrial.crf.models import SubjectRecord
from spinetrial.crf.reviewing import sign, verify
from spinetrial.crf.save import enter
from spinetrial.crf.spec import CrfSpec
from spinetrial.protocol import CURRENT
from spinetrial.protocol.model import ArmRole
from spinetrial.protocol.schedule import fraction_days
from spinetrial.review import queries, verification
from spinetrial.review.models import Query, Signature
from spinetrial.simulation.people import Staff, make_staff
from spinetrial.terminology import sectors
from spinetrial.terminology.vertebrae import LEVELS

#: Recruitment of the demonstration takes this long before its last day.
RECRUITMENT_DAYS = 690
Moment = Iterator[datetime]

_LEVELS = [level for level in LEVELS if level[0] in "TL"]
_TERMS = (  # CTCAE code, verbatim, grades, days after the first fraction
    ("10015461", "pain on swallowing", (1, 1, 2), (7, 25)),
    ("10016256", "tiredness", (1, 1, 2, 3), (3, 60)),
    ("10061103", "reddened skin in the field", (1, 1, 2), (10, 30)),
    ("10006002", "more bone pain in the first days", (1, 2), (1, 9)),
    ("10003988", "back pain", (1, 2, 2), (5, 120)),
    ("10041569", "collapse of the irradiated vertebra", (1, 2), (60, 260)),
    ("10017076", "broken rib after a fall", (2,), (30, 200)),
)


def simulate(patients: int, seed: int, until: date) -> Staff:
    """Fill an empty demonstration database: `patients` randomised, with screen failures and some still in screening.

    Sends no e-mail. The actors are the staff of the two invented sites.
    """
    start = until - timedelta(days=RECRUITMENT_DAYS + 30)
    connection, mail.get_connection = (
        mail.get_connection,
        lambda *a, **k: connection("django.core.mail.backends.dummy.EmailBackend"),
    )
    try:
        with at(datetime.combine(start, time(1), tzinfo=UTC)):
            staff = make_staff(start)
            _seal_lists(staff, patients, seed)
        _run(_everyone(staff, patients, seed, until), until)
    finally:
        mail.get_connection = connection
    return staff


def _seal_lists(staff: Staff, patients: int, seed: int) -> None:
    """Lists are imported, because a generated one rests on a seed that nobody can choose."""
    custodian = staff.of(Role.CUSTODIAN)
    arms = [arm.code for arm in CURRENT.arms]
    for code, site in staff.sites.items():
        secret = random.Random(f"{seed}:{code}").randbytes(32)
        slots = generate(secret, code, arms, CURRENT.allocation.block_sizes, patients)
        do_seal(custodian, do_import(custodian, site, slots))


def _run(everyone: list[Moment], until: date) -> None:
    queue: list[tuple[datetime, int, Moment]] = []
    for number, one in enumerate(everyone):
        heapq.heappush(queue, (next(one), number, one))
    while queue:
        moment, number, one = heapq.heappop(queue)
        if moment.date() > until:
            continue  # what lies ahead has not happened
        with at(moment):
            following = next(one, None)
        if following is not None:
            heapq.heappush(queue, (max(following, moment), number, one))


def _everyone(staff: Staff, patients: int, seed: int, until: date) -> list[Moment]:
    plan = random.Random(f"{seed}:plan")
    sites = list(staff.sites.values())
    first = until - timedelta(days=RECRUITMENT_DAYS)
    fates = ["randomised"] * patients + ["failed"] * max(patients // 5, 1) + ["screening"] * 3
    everyone = []
    for number, fate in enumerate(fates):
        rng = random.Random(f"{seed}:{number}")
        last = RECRUITMENT_DAYS - 40
        day = first + timedelta(days=plan.randint(0, last))
        if fate == "screening":
            day = until - timedelta(days=plan.randint(2, 6))
        everyone.append(_Participant(staff, rng.choice(sites), rng, day).live(fate))
    return everyone


class _Participant:
    """One invented person: hidden truths drawn once, acts told in the order of time."""

    def __init__(self, staff: Staff, site: StudySite, rng: random.Random, contact_day: date) -> None:
        self.rng, self.site, self.day0 = rng, site, contact_day
        self.coordinator: User = staff.of(Role.COORDINATOR, site)
        self.investigator: User = staff.of(Role.INVESTIGATOR, site)
        self.data_manager: User = staff.of(Role.DATA_MANAGER)
        self.monitor: User = staff.of(Role.MONITOR, site)
        self.subject: Subject
        self.pain = rng.choice([4, 5, 5, 6, 6, 7, 7, 8, 9])
        self.drug = rng.choice([None, "TRAMADOL_PO", "MORPHINE_PO", "MORPHINE_PO", "OXYCODONE_PO"])
        self.dose = rng.choice([10, 20, 30, 60]) if self.drug != "TRAMADOL_PO" else 50
        self.index = rng.choice(_LEVELS[1:-1])
        self.responds = rng.random() < 0.72
        self.survival = timedelta(days=round(rng.expovariate(1 / 620)) + 20)
        self.onsets: list[date] = []
        self.asked_on: date | None = None  # the last visit that asked about adverse events

    def moment(self, day: date) -> datetime:
        """A working hour of that day at the site."""
        local = datetime.combine(day, time(9 + self.rng.randrange(8), self.rng.randrange(60)), tzinfo=self.site.zone)
        return local.astimezone(UTC)

    def enter(self, spec: CrfSpec, values: Mapping[str, Any], rows: Any = None, **more: Any) -> SubjectRecord:
        return enter(spec, self.subject, more.pop("by", self.coordinator), values, rows, **more)

    # --- screening ---

    def live(self, fate: str) -> Moment:
        rng, day = self.rng, self.day0
        yield self.moment(day)
        contact = {
            "name": f"Demo Person {rng.randrange(10_000):04d}",
            "telephone": "",
            "email": "",
            "hospital_number": "",
        }
        self.subject = do_register(self.coordinator, self.site, day, contact)
        day += timedelta(days=rng.randint(0, 2))
        yield self.moment(day)
        consented = now()
        self._consent(consented)
        yield self.moment(day)
        self._baseline(day, fails=fate == "failed")
        if fate == "screening":
            yield self.moment(day + timedelta(days=30))
        if fate == "failed":
            yield self.moment(day + timedelta(days=1))
            self._screen_failure(now().astimezone(self.site.zone).date())
            return
        day += timedelta(days=1)
        yield self.moment(day)
        self.enter(PAIN, *self._baseline_pain(day))
        yield self.moment(day + timedelta(days=1))
        self._confirm(day)
        day += timedelta(days=rng.randint(1, 3))
        yield self.moment(day)
        do_randomize(self.coordinator, self.subject)
        self._review_baseline()
        yield from self._follow(day)

    def _consent(self, signed: datetime) -> None:
        family = self.rng.random() < 0.08
        values = {
            "version": "1.0",
            "signed_at": signed,
            "signer": "family" if family else "patient",
            "obtained_by": self.investigator.full_name,
            "willing_follow_up": True,
        }
        if family:
            values |= {"family_relation": "child", "family_reason": "The person cannot write because of the pain."}
        self.enter(CONSENT, values)

    def _baseline(self, day: date, *, fails: bool) -> None:
        rng = self.rng
        age = rng.randint(38, 78)
        female = rng.random() < 0.45
        self.enter(
            DEMOGRAPHICS,
            {
                "birth_date": date(day.year - age, rng.randint(1, 12), rng.randint(1, 28)),
                "sex": "female" if female else "male",
                "height_cm": rng.randint(150, 184),
            },
        )
        site = rng.choice(["lung", "breast" if female else "prostate", "kidney", "colorectum", "liver"])
        self.enter(
            TUMOUR,
            {
                "site": site,
                "tumour_class": "solid",
                "diagnosed_on": day - timedelta(days=rng.randint(60, 1500)),
                "stage": "4",
                "visceral_metastases": rng.random() < 0.4,
                "pathology_confirmed": True,
                "pathology_of": "primary",
                "pathology_date": day - timedelta(days=rng.randint(30, 55)),
            },
        )
        place = LEVELS.index(self.index)
        levels = [self.index] + ([LEVELS[place + 1]] if rng.random() < 0.3 else [])
        self.escc = rng.choice(["0", "0", "1a", "1b"]) if not fails else rng.choice(["0", "2", "3"])
        self.enter(
            SITES,
            {
                "imaging_modality": "mri",
                "imaging_date": day - timedelta(days=rng.randint(1, 10)),
                "index_level": self.index,
                "escc": self.escc,
                "sins_pain": rng.choice(["mechanical", "occasional"]),
                "sins_alignment": "normal",
                "sins_collapse": "none",
                "sins_posterolateral": rng.choice(["none", "one"]),
                "other_trial": False,
            },
            {
                "sites": [
                    {
                        "level": level,
                        "lesion": rng.choice(["lytic", "mixed", "blastic"]),
                        "fracture": False,
                        "prior_rt": fails and self.escc == "0",
                        "prior_surgery": False,
                    }
                    for level in levels
                ]
            },
        )
        ecog = rng.choice([0, 1, 1])
        slip = rng.random() < 0.08  # a KPS that does not fit the ECOG opens a query
        self.enter(
            STATUS,
            {
                "assessed_on": day,
                "ecog": ecog,
                "kps": 60 if slip else {0: 90, 1: 80}[ecog],
                "neurology": "e",
                "systolic_mmhg": rng.randint(105, 158),
                "diastolic_mmhg": rng.randint(60, 95),
                "pulse": rng.randint(58, 98),
                "temperature": "36.6",
                "weight_kg": rng.randint(46, 88),
                "hypertension": rng.random() < 0.3,
                "diabetes": rng.random() < 0.15,
                "myocardial_infarction": False,
                "myocardial_ischaemia": False,
                "nyha": 0,
                "ecg_done": True,
                "qtc_ms": rng.randint(385, 450),
                "qtc_formula": "fridericia",
                "infection_grade": 0,
                "unhealed_wound": False,
                "pregnancy_test": "negative" if female and age < 50 else "not_applicable",
            },
        )

    def _baseline_pain(self, day: date) -> tuple[dict[str, Any], dict[str, Any]]:
        values = {"assessed_on": day, "nrs_worst": self.pain, "analgesics": "some" if self.drug else "none"}
        return values, {"analgesics_taken": self._taken(self.dose)}

    def _taken(self, dose: float) -> list[dict[str, Any]]:
        if self.drug is None:
            return []
        return [{"drug": self.drug, "dose": f"{dose:g}", "times": 2, "use": "scheduled"}]

    def _confirm(self, day: date) -> None:
        """The investigator answers what is asked and confirms, as on the eligibility page."""
        values = {
            "first_procedure_on": day,
            "serious_chronic_disease": False,
            "rt_contraindication": False,
            "expected_survival_months": self.rng.choice([6, 9, 12, 18]),
            "active_bleeding": False,
            "large_vessel_tumour": False,
            "drug_abuse": False,
            "mental_disorder": False,
            "other_serious_disease": False,
        }
        record = self.enter(SCREENING, values, {"answers": self._answers()}, by=self.investigator)
        self.enter(
            SCREENING,
            {**values, "confirmed": True},
            {"answers": self._answers()},
            by=self.investigator,
            record=record,
            reason="eligibility confirmed",
        )

    def _answers(self) -> list[dict[str, Any]]:
        found = assess(self.subject)
        rows = []
        for finding in found.findings:
            stored = found.answers.get(finding.code)
            row: dict[str, Any] = {"id": stored.pk} if stored else {}
            row["criterion"] = finding.code
            if asks_answer(finding) and finding.holds is not None:
                row |= {"answer": "yes" if finding.holds else "no", "seen": seen_of(finding.code, found.facts)}
            rows.append(row)
        return rows

    def _screen_failure(self, day: date) -> None:
        if self.rng.random() < 0.3:
            self.enter(SCREEN_FAILURE, {"failed_on": day, "reason": "declined"})
        else:
            code = "INC5b" if self.escc == "0" else "INC2d"
            criteria = {"criteria": [{"criterion": code}]}
            self.enter(SCREEN_FAILURE, {"failed_on": day, "reason": "criteria"}, criteria)

    # --- treatment and follow-up ---

    def _follow(self, randomized: date) -> Moment:
        rng = self.rng
        death = randomized + self.survival
        acts: list[tuple[date, int, Any]] = []
        days = fraction_days(randomized + timedelta(days=rng.randint(2, 6)), CURRENT.treatment.fractions)
        stop = 4 if rng.random() < 0.06 else len(days)
        yield self.moment(days[0])
        self._plan(days[0])
        given = [(number, day) for number, day in enumerate(days[1:stop], 2) if day < death]
        step = 1 if rng.random() < 0.2 else 5  # few write down each fraction at once, most once a week
        for start in range(0, len(given), step):
            week = given[start : start + step]
            yield self.moment(week[-1][1])
            self._record_fractions(week)
        last = days[stop - 1]
        if stop < len(days):
            yield self.moment(last + timedelta(days=3))
            self._change(
                COURSE,
                course_of(self.subject),
                {"ending": "stopped_early", "stop_reason": "disease", "ended_on": last + timedelta(days=1)},
                "course stopped",
            )
        for _number in range(rng.choice([0, 1, 1, 2, 2])):
            code, verbatim, grades, (low, high) = rng.choice(_TERMS)
            onset = days[0] + timedelta(days=rng.randint(low, high))
            acts.append(
                (onset + timedelta(days=rng.randint(1, 20)), 1, ("ae", code, verbatim, rng.choice(grades), onset))
            )
        if rng.random() < 0.09:
            onset = days[0] + timedelta(days=rng.randint(20, 300))
            acts.append((onset + timedelta(days=rng.randint(1, 3)), 1, ("sae", onset)))
        self.onsets = [act[2][-1] for act in acts]
        loses_touch = rng.random() < 0.04
        acts.append((death + timedelta(days=rng.randint(1, 9)), 0, ("death", death)))
        yield from self._acts(acts, death, loses_touch)

    def _acts(self, acts: list[tuple[date, int, Any]], death: date, loses_touch: bool) -> Moment:
        """Adverse events and death at their dates, visits when they fall due, until death or the last day."""
        acts.sort(key=lambda act: act[:2])
        seen: set[str] = set()
        while True:
            today = now().astimezone(self.site.zone).date()
            visit = next(
                (v for v in expected_visits(self.subject, today) if v.event not in seen and v.planned.due), None
            )
            visit_day = self._visit_day(visit.planned) if visit else None
            if acts and (visit_day is None or acts[0][0] <= visit_day):
                day, _order, act = acts.pop(0)
                if act[0] != "death" and act[-1] >= death:
                    continue
                yield self.moment(max(day, today))
                if act[0] == "death":
                    self._death(act[1])
                    return
                self._adverse_event(act)
                continue
            if visit is None or visit_day is None:
                return
            seen.add(visit.event)
            if visit_day >= death:
                continue
            yield self.moment(max(visit_day, today))
            if loses_touch and visit.event == "M6":
                self.enter(END_OF_STUDY, {"status": "lost", "ended_on": visit_day})
                return
            yield from self._visit(visit.event, max(visit_day, today), late=self.rng.random() < 0.12)

    def _visit_day(self, planned: Any) -> date:
        rng = random.Random(f"{self.subject.code}{planned.code}")
        due: date = planned.due
        inside = rng.randint(max(planned.opens.toordinal(), due.toordinal() - 5), due.toordinal() + 5)
        if rng.random() < 0.05:
            inside = planned.closes.toordinal() + rng.randint(1, 9)
        return date.fromordinal(inside)

    def _plan(self, day: date) -> None:
        rng = self.rng
        arm = arms_for(SYSTEM, [self.subject])[self.subject.pk]
        gtv = rng.choice([{1}, {1}, {1, 2}, {1, 6}, {2}])
        ctv = {1, 2, 3, 4, 5, 6} if arm.role is ArmRole.CONTROL else gtv | set(sectors.cox_proposal(gtv))
        target: dict[str, Any] = {"level": self.index, "structure": "cord" if self.index[0] == "T" else "cauda"}
        target |= {f"gtv{n}": n in gtv for n in range(1, 7)} | {f"ctv{n}": n in ctv for n in range(1, 7)}
        if 1 in gtv:
            target["body_extent"] = "central"
        target["structure_dmax_gy"] = f"{rng.uniform(29.8, 31.6):.1f}"
        volume = rng.uniform(25, 60) * (1 if arm.role is ArmRole.CONTROL else 0.6)
        values = {
            "planning_ct_on": day - timedelta(days=1),
            "ct_slice_mm": 3,
            "planning_mri": True,
            "technique": rng.choice(["imrt", "vmat"]),
            "energy_mv": 6,
            "image_guided": True,
            "ctv_to_ptv_mm": 3,
            "prescribed_gy": 30,
            "prescribed_fractions": 10,
            "planned_start": day,
            "gtv_cm3": f"{volume * 0.4:.1f}",
            "ctv_cm3": f"{volume:.1f}",
            "ptv_cm3": f"{volume * 1.6:.1f}",
            "ptv_v95_percent": f"{rng.uniform(95, 99.5):.1f}",
            "ptv_d95_gy": f"{rng.uniform(30.0, 30.6):.2f}",
            "ending": "as_planned",
        }
        first = {"number": 1, "date": day, "given": True, "dose_gy": "3.00"}
        self.enter(COURSE, values, {"targets": [target], "fractions": [first]})

    def _record_fractions(self, week: list[tuple[int, date]]) -> None:
        if len(week) == 1:
            do_record_fraction(self.coordinator, self.subject, *week[0])
            return
        rows = [{"number": number, "date": day, "given": True, "dose_gy": "3.00"} for number, day in week]
        self._change(COURSE, course_of(self.subject), {}, "fractions of the week recorded", {"fractions": rows})

    def _visit(self, event: str, day: date, *, late: bool) -> Moment:
        rng = self.rng
        if late:  # nobody came and nobody wrote it down until a week later
            yield self.moment(day + timedelta(days=rng.randint(20, 60)))
        if rng.random() < 0.07:
            reason = rng.choice(["too_ill", "missed", "refused"])
            self.enter(VISIT, {"status": "missed", "missed_reason": reason, "survival": "alive"}, event=event)
            self.enter(
                IMAGING,
                {"status": "not_done", "not_done_reason": "other" if reason == "missed" else reason},
                event=event,
            )
            return
        pain, dose = self._course_of_pain(event)
        ill = rng.random() < 0.04
        values = {
            "status": "done",
            "visit_date": day,
            "mode": "telephone" if event == "W2" and rng.random() < 0.5 else "clinic",
            "analgesics": "unknown" if rng.random() < 0.03 else "some" if self.drug and dose else "none",
            "motor": "none",
            "sensory": "none",
            "frankel": "E",
            "bladder": "normal",
            "ecog": str(rng.choice([0, 1, 1, 2])),
            "index_treatment": "none",
            "new_systemic": False,
            "ae_any": any((self.asked_on is None or self.asked_on < onset) and onset <= day for onset in self.onsets),
            "survival": "alive",
        }
        values |= {"nrs_missing": "too_ill"} if ill else {"nrs_worst": pain}
        rows = self._taken(dose) if values["analgesics"] == "some" else []
        self.asked_on = day
        if not ill:
            self._answer_questionnaire(event, pain, str(values["analgesics"]), rows)
        record = self.enter(VISIT, values, {"analgesics_taken": rows}, event=event)
        self._review_visit(record)
        self._image(event, day)
        if rng.random() < 0.06:
            yield self.moment(day + timedelta(days=3))
            self._change(
                VISIT, record, {"remarks": "Telephone number of the family checked."}, "found in the source notes"
            )
        yield self.moment(day + timedelta(days=rng.randint(3, 9)))
        yield from self._work_on_queries(day)

    def _answer_questionnaire(self, event: str, pain: int, analgesics: str, rows: list[dict[str, Any]]) -> None:
        """Some participants answer the questionnaire first. A chance of its own leaves the rest as it is."""
        chance = random.Random(f"questionnaire {self.subject.code} {event}")
        if chance.random() > 0.4 or questionnaire.readiness(self.subject, event) is not questionnaire.Standing.OPEN:
            return
        channel = chance.choice(list(Channel))
        link = questionnaire.Link(questionnaire.do_invite(self.coordinator, self.subject, event, channel), channel)
        answers = {"language": chance.choice(["zh-hans", "zh-hans", "en"]), "nrs": pain, "analgesics": analgesics}
        questionnaire.do_answer(link, **answers, **({"taken": rows} if rows else {}))
        questionnaire.do_submit(link)

    def _course_of_pain(self, event: str) -> tuple[int, float]:
        """Worst pain and dose per intake at a visit: what the hidden truth makes of the baseline."""
        rng = self.rng
        if self.responds and not (event == "W2" and rng.random() < 0.35):
            fall = rng.randint(2, self.pain)
            return self.pain - fall, self.dose * rng.choice([1, 1, 1, 0.5])
        return max(0, min(10, self.pain + rng.choice([-1, 0, 0, 1, 2]))), self.dose * rng.choice([1, 1, 1.5])

    def _image(self, event: str, day: date) -> None:
        if event == "W2":
            self.enter(IMAGING, {"status": "not_done", "not_done_reason": "not_ordered"}, event=event)
            return
        rng = self.rng
        broken = rng.random() < 0.06
        vertebra = {
            "level": self.index,
            "height_loss": rng.randint(22, 45) if broken else rng.randint(0, 12),
            "fracture": "new" if broken else "none",
            "local_control": "progression" if rng.random() < 0.05 else "controlled",
            "density_hu": rng.randint(90, 260),
        }
        if broken:
            vertebra["symptomatic"] = rng.random() < 0.5
        values = {
            "status": "done",
            "imaging_date": day,
            "modality": "ct",
            "read_by": "radiologist",
            "cord_injury": False,
        }
        self.enter(IMAGING, values, {"vertebrae": [vertebra]}, event=event)

    def _work_on_queries(self, day: date) -> Moment:
        mine = list_records(SYSTEM, Query, "query.view").filter(subject=self.subject)
        for query in mine.filter(state=Query.State.OPEN):
            if self.rng.random() < 0.6:
                queries.answer(self.coordinator, query, "Checked against the source: the value is right.")
        yield self.moment(day + timedelta(days=self.rng.randint(10, 16)))
        for query in mine.filter(state=Query.State.ANSWERED):
            if self.rng.random() < 0.7:
                queries.close(self.data_manager, query, "Accepted.")

    # --- verification and signature; their own dice, so that they leave the data as they are ---

    def _review_baseline(self) -> None:
        """The investigator signs half of the participants at randomisation, the monitor verifies some consents."""
        dice = random.Random(f"{self.subject.code}:baseline")
        if dice.random() < 0.5:
            found = stored([self.subject.pk], [spec for spec in PATIENT_SPECS if spec.event in ("SCR", "BL")])
            self._sign(found, Signature.Scope.SUBJECT)
        if dice.random() < 0.4:
            for each in stored([self.subject.pk], [CONSENT, PAIN]):
                verify(self.monitor, self.subject, each.key, each.sha256)
            if dice.random() < 0.2:  # the monitor was mistaken: to verify again
                why = "the wrong page of the source"
                verification.do_unverify(self.monitor, self.subject, *each.key, "nrs_worst", why)

    def _review_visit(self, record: SubjectRecord) -> None:
        """Some visits are verified or signed at once; a later remark makes the signature void."""
        dice = random.Random(f"{self.subject.code}:{record.pk}")
        chance = dice.random()
        if chance < 0.3:
            (each,) = stored([self.subject.pk], [VISIT], only=[(VISIT.code, record.pk)])
            if chance < 0.1:
                verify(self.monitor, self.subject, each.key, each.sha256)
            else:
                self._sign([each], Signature.Scope.VISIT, each.event)

    def _sign(self, found: Iterable[Stored], scope: str, event: str = "") -> None:
        seen = {each.key: each.sha256 for each in found}
        meaning = Signature.Meaning.REVIEWED
        sign(self.investigator, self.subject, seen, meaning=meaning, scope=scope, event=event, certify=True)

    def _adverse_event(self, act: tuple[Any, ...]) -> None:
        rng = self.rng
        values: dict[str, Any] = {
            "action": "none",
            "treated": False,
            "relation_disease": "unlikely",
            "relation_systemic": "unrelated",
            "relation_other": "unrelated",
        }
        if act[0] == "ae":
            _kind, code, verbatim, grade, onset = act
            values |= {
                "verbatim": verbatim,
                "ctcae_code": code,
                "grade": grade,
                "flare": code == "10006002",
                "onset_date": onset,
                "outcome": "ongoing",
                "relation_radiotherapy": rng.choice(["possible", "probable", "unlikely"]),
            }
        else:
            aware = now() - timedelta(hours=rng.randint(1, 20))
            values |= {
                "verbatim": "pneumonia, admitted to hospital",
                "ctcae_code": "10061229",
                "grade": 3,
                "onset_date": act[1],
                "outcome": "recovering",
                "treated": True,
                "treatment": "antibiotics",
                "relation_radiotherapy": "unrelated",
                "sae_hospital": True,
                "aware_at": aware,
                "unexpected": True,
            }
        if values["ctcae_code"] == "10041569":
            values["vertebra"] = self.index
        known = AdverseEvent(ctcae_code=values["ctcae_code"], vertebra=values.get("vertebra", ""))
        values["worse_than_before"] = any(each.matches(known) for each in conditions_of(self.subject))
        grade, onset = values["grade"], values["onset_date"]
        periods = []
        # A chance of its own, so that the rest of the demonstration stays as it was.
        if grade > 1 and random.Random(f"{self.subject.code}{onset}").random() < 0.5:
            periods = [(onset, grade - 1), (onset + timedelta(days=1), grade)]
        record = self.enter(
            ADVERSE_EVENT, values, {"periods": [{"from_date": day, "grade": each} for day, each in periods]}
        )
        if act[0] == "sae":
            self._report(record, forgotten=rng.choice([False, False, False, True]))

    def _report(self, record: SubjectRecord, *, forgotten: bool) -> None:
        """The investigator signs the first report and the coordinator sends it, or the deadline is missed."""
        if forgotten:
            return
        event = of_subject(self.subject, AdverseEvent).get(pk=record.pk)
        seen = digest(canonical(facts_of(event)))
        report = do_sign_report(self.investigator, event, seen=seen, kind=ReportKind.INITIAL, certify=True)
        do_record_sending(self.coordinator, report, {"submitted_at": now()})

    def _death(self, day: date) -> None:
        self.enter(END_OF_STUDY, {"status": "dead", "ended_on": day, "death_cause": "disease"})

    def _change(
        self,
        spec: CrfSpec,
        record: SubjectRecord | None,
        values: Mapping[str, Any],
        reason: str,
        new_rows: Mapping[str, list[dict[str, Any]]] | None = None,
    ) -> None:
        assert record is not None  # noqa: S101
        fresh = of_subject(self.subject, spec.model).get(pk=record.pk)
        rows = {
            group.key: [
                {"id": row.pk, **{item.name: getattr(row, item.name) for item in group.items}}
                for row in of_subject(self.subject, group.model).filter(**{"parent": fresh})
            ]
            + (new_rows or {}).get(group.key, [])
            for group in spec.rows
        }
        merged = {**{item.name: getattr(fresh, item.name) for item in spec.items()}, **values}
        self.enter(spec, merged, rows, record=fresh, reason=reason)
