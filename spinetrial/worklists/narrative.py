"""The narrative of an adverse event: its facts in the order in which they are told, on one page to print."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from adverse_events.baseline import conditions_of
from adverse_events.crfs import ADVERSE_EVENT
from adverse_events.models import CRITERIA, PHASE_LABELS, AdverseEvent, GradePeriod, course_of, term_label
from adverse_events.safety import placement
from patients.models import Demographics, Milestones, PrimaryTumour, SitesOfDisease, Subject
from randomization.arms import reveal_arm
from spinetrial.access.gate import SignedInRequest, get_record, masked, of_subject, requires
from spinetrial.crf.display import display_value
from spinetrial.crf.views import in_site_zone
from spinetrial.protocol.schedule import completed_years

_Facts = list[tuple[str, str]]


@requires("safety.view")
@require_safe
@in_site_zone
def narrative(request: SignedInRequest, subject: Subject, pk: int) -> HttpResponse:
    """One event, serious or of special interest.

    `?arm=1` adds the arm for those who may see it, and leaves an entry on the trail.
    """
    event = get_record(request.user, AdverseEvent, "safety.view", pk=pk, subject=subject)
    stones = of_subject(subject, Milestones).get()
    hidden = masked(request.user, subject.site_id)
    arm = reveal_arm(request.user, subject, "narrative") if request.GET.get("arm") == "1" else None
    context = {
        "subject": subject,
        "event": event,
        "term": term_label(event.ctcae_code),
        "arm": _(arm.name) if arm else "",
        "may_see_arm": not hidden and arm is None and stones.randomized_on is not None,
        "sections": [
            (_("Participant"), _participant(subject, event)),
            (_("Radiotherapy"), _radiotherapy(stones)),
            (_("Event"), _event(event, stones)),
            (_("Seriousness"), _seriousness(event)),
            (_("Cause"), _cause(event)),
            (_("Treatment and outcome"), _outcome(event)),
        ],
        "course": course_of(event, of_subject(subject, GradePeriod).filter(parent=event)),
    }
    return render(request, "adverse_events/narrative.html", context)


def _answers(event: AdverseEvent, *names: str) -> _Facts:
    """Questions and answers of the form, without those not answered."""
    found = [(ADVERSE_EVENT.label(name), display_value(event, name)) for name in names]
    return [(label, text) for label, text in found if text]


def _participant(subject: Subject, event: AdverseEvent) -> _Facts:
    found: _Facts = [(_("Participant"), subject.code), (_("Study site"), str(subject.site))]
    for person in of_subject(subject, Demographics):
        age = completed_years(person.birth_date, event.onset_date)
        found += [(_("Age at the start of the event"), str(age)), (_("Sex"), str(person.get_sex_display()))]
    for tumour in of_subject(subject, PrimaryTumour):
        found.append((_("Primary tumour"), str(tumour.get_site_display())))
    for sites in of_subject(subject, SitesOfDisease):
        found.append((_("Index site"), sites.index_level or _("not recorded")))
    conditions = [condition.label for condition in conditions_of(subject)]
    return [*found, (_("Recorded at baseline"), "; ".join(conditions) or _("nothing"))]


def _radiotherapy(stones: Milestones) -> _Facts:
    if stones.rt_start is None:
        return [(_("Fractions given"), _("none"))]
    found = [
        (_("First fraction"), stones.rt_start.isoformat()),
        (_("Fractions given"), str(stones.fractions_given)),
    ]
    if stones.rt_end:
        label = _("Last fraction") if stones.rt_completed else _("Last fraction so far")
        found.append((label, stones.rt_end.isoformat()))
    return found


def _event(event: AdverseEvent, stones: Milestones) -> _Facts:
    found = _answers(event, "verbatim")
    where = placement([event])(event)
    found += [(_("CTCAE term"), f"{term_label(event.ctcae_code)} (v{event.ctcae_version})")]
    found += [(_("Organ class and term"), f"{where.soc_label}: {where.term_label}")]
    found += _answers(event, "vertebra", "onset_date", "end_date", "reported_visit")
    if stones.rt_start:
        days = (event.onset_date - stones.rt_start).days
        found.append((_("Days from the first fraction to the start"), str(days)))
    if stones.rt_end and stones.rt_completed:
        found.append((_("Days from the last fraction to the start"), str((event.onset_date - stones.rt_end).days)))
    phase = event.phase(stones.rt_start, stones.rt_end if stones.rt_completed else None)
    if phase:
        found.append((_("Phase"), _(PHASE_LABELS[phase])))
    if event.worse_than_before:
        found.append((_("At baseline"), _("The condition was there already and has become worse.")))
    return [*found, (_("Worst grade"), str(event.grade))]


def _seriousness(event: AdverseEvent) -> _Facts:
    held = [ADVERSE_EVENT.label(name) for name in CRITERIA if getattr(event, name)]
    found = [(_("Serious because"), "; ".join(held) or _("not serious")), *_answers(event, "unexpected", "aware_at")]
    if event.reported_at is not None:
        found.append((_("Sent to the sponsor"), f"{timezone.localtime(event.reported_at):%Y-%m-%d %H:%M}"))
    return found


def _cause(event: AdverseEvent) -> _Facts:
    return _answers(
        event, "relation_radiotherapy", "relation_disease", "relation_systemic", "relation_other", "other_cause"
    )  # fmt: skip


def _outcome(event: AdverseEvent) -> _Facts:
    return _answers(event, "action", "treated", "treatment", "outcome", "end_date")
