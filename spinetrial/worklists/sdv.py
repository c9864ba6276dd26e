"""Source data verification: what waits by participant, how far the sites are, and the acts at a form."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from patients.models import Subject
from spinetrial.access.context import chosen_site
from spinetrial.access.gate import SignedInRequest, get_record, list_records, masked, may, requires
from spinetrial.access.models import TrialState
from spinetrial.crf.registry import get_spec
from spinetrial.crf.reviewing import Changed, SdvForm, sdv_of, verify
from spinetrial.crf.spec import CrfSpec
from spinetrial.crf.views import answers_url, record_key
from spinetrial.protocol import CURRENT, events
from spinetrial.review import verification

TABS = ("waiting", "again", "all")


@dataclass
class Tally:
    """Counts of critical items."""

    critical: int = 0
    verified: int = 0
    again: int = 0

    def add(self, form: SdvForm) -> None:
        self.critical += len(form.critical)
        self.verified += len(form.critical) - len(form.waiting)
        self.again += len(form.again)

    @property
    def waiting(self) -> int:
        return self.critical - self.verified

    @property
    def percent(self) -> int:
        """Whole percent, rounded down: 100 only when nothing is left."""
        return 100 * self.verified // self.critical if self.critical else 100


@dataclass
class SubjectLine:
    subject: Subject
    tally: Tally = field(default_factory=Tally)
    forms: list[dict[str, Any]] = field(default_factory=list)


@requires("sdv.view")
@require_safe
def sdv_list(request: SignedInRequest) -> HttpResponse:
    """Participants with what waits for verification, and the progress of each site in percent of critical items."""
    subjects = list_records(request.user, Subject, "sdv.view").select_related("site").order_by("code")
    site = chosen_site(request, "sdv.view")
    if site:
        subjects = subjects.filter(site=site)
    tab = request.GET.get("show", "waiting")
    if tab not in TABS:
        raise Http404
    lines = {subject.pk: SubjectLine(subject) for subject in subjects}
    sites: dict[str, Tally] = defaultdict(Tally)
    found = sorted(sdv_of(request.user, lines), key=lambda each: events.event_order(CURRENT, each.event))
    for each in found:
        line = lines[each.subject_id]
        line.tally.add(each)
        sites[line.subject.site.code].add(each)
        if tab == "all" or each.again or (each.waiting and tab == "waiting"):
            line.forms.append(_form(line.subject, each))
    total = Tally()
    for tally in sites.values():
        total.critical += tally.critical
        total.verified += tally.verified
        total.again += tally.again
    labels = {"waiting": _("To verify"), "again": _("To verify again"), "all": _("All forms")}
    counts = {"waiting": total.waiting, "again": total.again, "all": total.critical}
    context = {
        "sites": sorted(sites.items()),
        "lines": [line for line in lines.values() if line.forms],
        "tabs": [{"key": key, "label": labels[key], "count": counts[key], "active": key == tab} for key in TABS],
        "may_verify": may(request.user, "sdv.verify"),
        "locked": TrialState.current().state == TrialState.State.LOCKED,
    }
    return render(request, "worklists/sdv.html", context)


def _form(subject: Subject, each: SdvForm) -> dict[str, Any]:
    url = answers_url(each.spec, subject.code, record_key(each.spec, each.record_id, each.event))
    first = next(iter(each.waiting), "")
    return {
        "title": _(str(each.spec.title)),
        "event": events.event_title(CURRENT, each.event, _) if each.event != "ANY" else "",
        "url": f"{url}#item-{first}" if first else url,
        "waiting": len(each.waiting),
        "verified": len(each.critical) - len(each.waiting),
        "again": [{"label": each.spec.label(item), "url": f"{url}#item-{item}"} for item in each.again],
    }


def _target(request: SignedInRequest, code: str, spec_code: str, pk: int) -> tuple[Subject, CrfSpec, str]:
    """The subject, CRF and address of a record the person may verify. Raises Http404, PermissionDenied."""
    spec = get_spec(spec_code)
    subject = get_record(request.user, Subject, "sdv.verify", code=code)
    if spec.reveals_arm and masked(request.user, subject.site_id):
        raise PermissionDenied
    record = get_record(request.user, spec.model, "crf.view", pk=pk, subject=subject)
    return subject, spec, answers_url(spec, code, record_key(spec, pk, getattr(record, "event", "")))


@requires("sdv.verify")
@require_POST
def verify_items(request: SignedInRequest, code: str, spec_code: str, pk: int) -> HttpResponse:
    """Verify one item (`item`), or with `scope` the critical items or all items, of the version that was shown."""
    subject, spec, url = _target(request, code, spec_code, pk)
    item = request.POST.get("item", "")
    try:
        made = verify(
            request.user,
            subject,
            (spec.code, pk),
            request.POST.get("seen", ""),
            [item] if item else None,
            all_items=request.POST.get("scope") == "all",
        )
    except Changed:
        messages.error(
            request,
            _("This form changed while it was on your screen. Nothing was verified; compare the newest values below."),
        )
    except verification.TrialLocked:
        messages.error(request, _("The trial is locked: nothing can be verified. Nothing was changed."))
    except KeyError:
        messages.error(request, _("This form has no such item. Nothing was verified."))
    else:
        if made:
            messages.success(request, _("Verified: %(count)d.") % {"count": made})
        else:
            messages.info(request, _("All of this was verified before."))
        return redirect(f"{url}#item-{item}" if item else f"{url}#review")
    return redirect(url)


class TakeBackForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=500, widget=forms.Textarea(attrs={"rows": 2}))


@requires("sdv.verify")
def unverify(request: SignedInRequest, code: str, spec_code: str, pk: int, item: str) -> HttpResponse:
    """Take the verification of an item back, with a reason."""
    subject, spec, url = _target(request, code, spec_code, pk)
    if item not in {each.name for each in spec.items()} | {group.key for group in spec.rows}:
        raise Http404
    form = TakeBackForm(request.POST or None)
    if form.is_valid():
        try:
            verification.do_unverify(request.user, subject, spec.code, pk, item, form.cleaned_data["reason"])
        except verification.NotVerified:
            messages.info(request, _("This item is not verified any more."))
        except verification.TrialLocked:
            messages.error(request, _("The trial is locked: nothing can be verified. Nothing was changed."))
        else:
            messages.success(request, _("The verification is taken back."))
        return redirect(f"{url}#item-{item}")
    context = {
        "title": _("Take back the verification: %(item)s") % {"item": spec.label(item)},
        "form": form,
        "back_url": url,
        "button": _("Take back"),
    }
    return render(request, "access/form.html", context, status=422 if form.errors else 200)
