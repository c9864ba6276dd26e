"""The audit trail as a list to filter, print and download: who, when, what, old, new, why, one row per value."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from patients.models import Subject
from spinetrial.access.gate import SYSTEM, SignedInRequest, list_records, may, requires, sites_for
from spinetrial.access.limits import limited
from spinetrial.access.models import StudySite, User
from spinetrial.access.people import people_called, study_sites
from spinetrial.analysis.data import Kind
from spinetrial.audit.acting import acting, record_event
from spinetrial.audit.models import AuditEntry
from spinetrial.crf.registry import all_specs
from spinetrial.crf.spec import CrfSpec
from spinetrial.exports.csvfile import cell
from spinetrial.worklists.history import in_words

#: Entries, of which a first entry of a form is a row per answer.
PER_PAGE = 40

#: Acts in words. One that is missing here is shown as it is stored.
ACTS = {
    "insert": gettext_lazy("entered"),
    "update": gettext_lazy("changed"),
    "delete": gettext_lazy("removed"),
    "login": gettext_lazy("logged in"),
    "logout": gettext_lazy("logged out"),
    "login failed": gettext_lazy("log-in failed"),
    "contact read": gettext_lazy("contact details read"),
    "contacts purged": gettext_lazy("contact details deleted for good"),
    "personal data exported": gettext_lazy("all data of the person exported"),
    "randomisation list opened": gettext_lazy("randomisation list opened"),
    "arm viewed": gettext_lazy("arm viewed"),
    "dictionary refused": gettext_lazy("dictionary refused"),
    "data exported": gettext_lazy("data version exported"),
    "audit trail exported": gettext_lazy("audit trail exported"),
    "report viewed": gettext_lazy("report viewed"),
    "report asked for": gettext_lazy("report asked for"),
    "report made": gettext_lazy("report made"),
    "report printed": gettext_lazy("report printed"),
    "report refused": gettext_lazy("report refused"),
    "simulation asked for": gettext_lazy("simulation of the trial asked for"),
    "sign": gettext_lazy("signed"),
    "signer told of the unlock": gettext_lazy("signer told of the unlock"),
    "refused: not confirmed": gettext_lazy("refused: password or code was wrong"),
    "logged off: session limit": gettext_lazy("logged off at the end of the session"),
    "logged off: idle": gettext_lazy("logged off after a pause"),
    "access list exported": gettext_lazy("access list exported"),
    "open points exported": gettext_lazy("open points exported"),
    "safety listing exported": gettext_lazy("listing of adverse events exported"),
    "casebook downloaded": gettext_lazy("casebook downloaded"),
    "all casebooks downloaded": gettext_lazy("all casebooks downloaded"),
    "site data downloaded": gettext_lazy("data of the site downloaded"),
}
#: For what a person had to prove who they are, in words; on the trail when they could not.
PURPOSES = {
    "signature": gettext_lazy("Signature"),
    "randomisation": gettext_lazy("Randomisation"),
    "sealing": gettext_lazy("Sealing of a list"),
    "lock": gettext_lazy("Lock"),
    "unlock": gettext_lazy("Unlock"),
    "access review": gettext_lazy("Access review"),
    "second factor": gettext_lazy("Second factor"),
    "removal of the second factor": gettext_lazy("Removal of the second factor"),
    "new recovery codes": gettext_lazy("New recovery codes"),
    "passkey": gettext_lazy("Passkey"),
    "contacts purge": gettext_lazy("Deletion of contact details"),
    "personal data export": gettext_lazy("Export of all data of the person"),
}
_PLACES = {
    "subject page": gettext_lazy("page of the participant"),
    "allocation page": gettext_lazy("page of the allocation"),
    "slip": gettext_lazy("printed slip"),
    "narrative": gettext_lazy("narrative of an adverse event"),
    "safety by arm": gettext_lazy("safety table by arm"),
}
_KEPT_ACTS = ("insert", "update", "delete")


def act_words(act: str) -> str:
    """An act as it is stored, in words."""
    if act in ACTS:
        return str(ACTS[act])
    head, _colon, tail = act.partition(": ")
    purpose = head.removesuffix(" refused")
    if purpose in PURPOSES and tail == "not confirmed":
        return f"{PURPOSES[purpose]} {ACTS['refused: not confirmed']}"
    if head in ACTS:
        return f"{ACTS[head]}: {_PLACES.get(tail, tail)}"
    return act


def _kinds(act: str) -> list[str]:
    """An act of the filter as it may be stored, exactly, so that the index answers."""
    return [act, *(f"{act}: {place}" for place in _PLACES), *(f"{purpose} {act}" for purpose in PURPOSES)]


def visible(user: User, action: str = "audit.view") -> QuerySet[AuditEntry]:
    """The entries a person may see.

    Of participants and study sites where they hold `action`, without those that reveal an arm where it is kept from
    them. Administrators see what belongs to no participant: accounts, memberships, sites, log-ins.
    """
    condition = Q(pk__in=[])
    if may(user, action):
        subjects, allowed = list_records(user, Subject, action), sites_for(user, action)
        condition |= Q(subject_id__in=subjects.values("pk"))
        of_site = Q(subject_id__isnull=True, site_id__isnull=False, table_name__in=["", "access_studysite"])
        condition |= of_site if allowed is None else of_site & Q(site_id__in=allowed)
        open_arms = list_records(user, Subject, "arm.view") if may(user, "arm.view") else subjects.none()
        condition &= Q(reveals_arm=False) | Q(subject_id__in=open_arms.values("pk"))
    if may(user, "audit.system"):
        # Lists are the custodian's: not even their block sizes are an administrator's business.
        lists = Q(table_name__startswith="randomization_")
        condition |= Q(subject_id__isnull=True, reveals_arm=False) & ~lists
    return AuditEntry.among(condition)


class FilterForm(forms.Form):
    """What narrows the list. Every field may stay empty."""

    site = forms.ChoiceField(label=gettext_lazy("Study site"), required=False)
    subject = forms.CharField(label=gettext_lazy("Participant"), max_length=16, required=False)
    form = forms.ChoiceField(label=gettext_lazy("Form"), required=False)
    item = forms.CharField(label=gettext_lazy("Item"), max_length=60, required=False)
    person = forms.CharField(label=gettext_lazy("Who"), max_length=60, required=False)
    act = forms.ChoiceField(label=gettext_lazy("Act"), required=False)
    since = forms.DateField(
        label=gettext_lazy("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label=gettext_lazy("Until (last day)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, user: User, data: Any) -> None:
        super().__init__(data)
        any_choice = [("", "---------")]
        allowed = sites_for(user, "audit.list")
        self.sites = {site.code: site for site in study_sites() if allowed is None or site.pk in allowed}
        self.fields["site"].choices = any_choice + [(code, str(site)) for code, site in self.sites.items()]  # type: ignore[attr-defined]
        self.fields["form"].choices = any_choice + [(spec.code, _(str(spec.title))) for spec in all_specs()]  # type: ignore[attr-defined]
        self.fields["act"].choices = any_choice + sorted(  # type: ignore[attr-defined]
            ((act, str(words)) for act, words in ACTS.items()), key=lambda pair: pair[1]
        )

    def columns(self) -> list[str]:
        """Columns the filter asks for; empty for all."""
        item: str = (self.cleaned_data.get("item") or "").replace("\0", "").strip()
        return _columns_of(item) if item else []

    def narrowed(self, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """`rows` within the valid filters; times of a period are those of the chosen site, else UTC."""
        wanted = self.cleaned_data
        site: StudySite | None = self.sites.get(wanted.get("site") or "")
        if site is not None:
            inside = list_records_of_site(site)
            rows = rows.filter(Q(site_id=site.pk) | Q(subject_id__in=inside))
        if wanted.get("subject"):
            code = wanted["subject"].replace("\0", "").strip()
            rows = rows.filter(subject_id__in=subjects_with_code(code))
        if wanted.get("form"):
            rows = rows.filter(table_name__in=tables_of(next(s for s in all_specs() if s.code == wanted["form"])))
        if wanted.get("item"):
            rows = rows.filter(changes__has_any_keys=self.columns())
        if wanted.get("person"):
            words = wanted["person"].replace("\0", "").strip()
            ids = list(people_called(words).values_list("pk", flat=True))
            # A program that acts has no account, only its name.
            rows = rows.filter(Q(actor_id__in=ids) | Q(actor_id__isnull=True, actor__icontains=words))
        if wanted.get("act"):
            rows = rows.filter(act__in=_kinds(wanted["act"]))
        zone = site.zone if site else UTC
        if wanted.get("since"):
            rows = rows.filter(at__gte=_midnight(wanted["since"], zone))
        if wanted.get("until"):
            rows = rows.filter(at__lt=_midnight(min(wanted["until"], date(9000, 1, 1)) + timedelta(days=1), zone))
        return rows


def _midnight(day: date, zone: Any) -> datetime:
    return datetime.combine(max(day, date(1, 1, 2)), time(), tzinfo=zone)


def list_records_of_site(site: StudySite) -> QuerySet[Any]:
    """Ids of the participants of a site, to narrow rows that `visible` already limited."""
    return list_records(SYSTEM, Subject, "subject.view").filter(site=site).values("pk")


def subjects_with_code(code: str) -> QuerySet[Any]:
    """Ids of the participant with this code, to narrow rows that `visible` already limited."""
    return list_records(SYSTEM, Subject, "subject.view").filter(code__iexact=code).values("pk")


def tables_of(spec: CrfSpec) -> list[str]:
    """The tables of a CRF: its own and those of its groups of rows."""
    return [spec.model._meta.db_table, *(group.model._meta.db_table for group in spec.rows)]


def _columns_of(item: str) -> list[str]:
    """Columns that may hold an item: its own name, or every item whose question holds the words."""
    found = {item, f"{item}_id"}
    if len(item) >= 3:
        for spec in all_specs():
            for model in (spec.model, *(group.model for group in spec.rows)):
                for field in model._meta.concrete_fields:
                    if item.lower() in str(field.verbose_name).lower():
                        found.add(str(field.column))
    return sorted(found)


class Describer:
    """Entries in words, all columns or some. Codes and sites are read once for a whole page."""

    def __init__(self, entries: Iterable[AuditEntry], columns: Iterable[str] = ()) -> None:
        self.entries, self.columns = list(entries), frozenset(columns)
        ids = {entry.subject_id for entry in self.entries if entry.subject_id is not None}
        # The entries were limited by `visible`; this only gives their participants' codes and zones.
        self.subjects = {
            row.pk: row
            for row in list_records(SYSTEM, Subject, "subject.view").filter(pk__in=ids).select_related("site")
        }
        self.sites = {site.pk: site for site in study_sites()}
        self.forms = {table: spec for spec in all_specs() for table in tables_of(spec)}

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row per changed value; one without a value for an act that changed none."""
        for entry in self.entries:
            subject = self.subjects.get(entry.subject_id) if entry.subject_id is not None else None
            site = subject.site if subject else (self.sites.get(entry.site_id) if entry.site_id is not None else None)
            zone: Any = site.zone if site else UTC
            spec = self.forms.get(entry.table_name)
            shared = {
                "entry": entry,
                "local": entry.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
                "utc": entry.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
                "in_utc": zone is UTC or zone == ZoneInfo("UTC"),
                "site": site.code if site else "",
                "subject": subject.code if subject else "",
                "form": _(str(spec.title)) if spec else str(_TABLES.get(entry.table_name, entry.table_name)),
                "act": act_words(entry.act),
            }
            changes = [each for each in in_words(entry) if not self.columns or each["column"] in self.columns]
            if not changes and entry.act in _KEPT_ACTS:
                continue  # only technical columns, such as the position of a row
            for place, change in enumerate(changes or [{"item": "", "old": "", "new": ""}]):
                yield {**shared, **change, "first": place == 0}


#: Tables that belong to no form, by the name people know them by.
_TABLES = {
    "patients_subject": gettext_lazy("Participant"),
    "patients_contact": gettext_lazy("Contact details"),
    "patients_milestones": gettext_lazy("Milestones"),
    "review_query": gettext_lazy("Query"),
    "review_querymessage": gettext_lazy("Query"),
    "review_verification": gettext_lazy("Verification"),
    "review_signature": gettext_lazy("Signature"),
    "review_signedrecord": gettext_lazy("Signature"),
    "review_certification": gettext_lazy("Certification of signatures"),
    "review_explanation": gettext_lazy("Explanation"),
    "review_freeze": gettext_lazy("Freeze"),
    "adverse_events_coding": gettext_lazy("MedDRA coding"),
    "adverse_events_meddraversion": gettext_lazy("MedDRA version"),
    "adverse_events_meddrarelease": gettext_lazy("MedDRA version"),
    "access_user": gettext_lazy("Account"),
    "access_membership": gettext_lazy("Membership"),
    "access_accessreview": gettext_lazy("Access review"),
    "access_studysite": gettext_lazy("Study site"),
    "access_trialstate": gettext_lazy("State of the trial"),
    "mfa_authenticator": gettext_lazy("Second factor"),
    "outbox_message": gettext_lazy("Message"),
    "followup_invitation": gettext_lazy("Invitation to the questionnaire"),
    "randomization_allocation": gettext_lazy("Allocation"),
    "randomization_allocatedarm": gettext_lazy("Arm"),
    "randomization_randomizationlist": gettext_lazy("Randomisation list"),
    "randomization_slot": gettext_lazy("Randomisation list"),
    "adverse_events_saereport": gettext_lazy("Report of a serious event"),
    "adverse_events_misseddeadline": gettext_lazy("Missed deadline"),
    "crf_draft": gettext_lazy("Draft"),
    "analysis_dataversion": gettext_lazy("Data version"),
}


def table_words(model: type[models.Model]) -> str:
    """The name of a table of records that belongs to no form."""
    return str(_TABLES.get(model._meta.db_table, model._meta.verbose_name))


@requires("audit.list")
@require_safe
@limited("search")
def audit_trail(request: SignedInRequest) -> HttpResponse:
    """The newest entries first; `before` is the number of the last entry of the page above."""
    form = FilterForm(request.user, request.GET)
    rows = visible(request.user).order_by("-id")
    valid = form.is_valid()
    found: list[AuditEntry] = []
    if valid:
        rows = form.narrowed(rows)
        before = request.GET.get("before", "")
        if before.isascii() and before.isdigit() and len(before) < 18:
            rows = rows.filter(pk__lt=int(before))
        found = list(rows[: PER_PAGE + 1])
    kept = request.GET.copy()
    kept.pop("before", None)
    context = {
        "form": form,
        "rows": list(Describer(found[:PER_PAGE], form.columns() if valid else ()).rows()),
        "query": kept.urlencode(),
        "older": found[PER_PAGE - 1].pk if len(found) > PER_PAGE else None,
        "newest": "before" not in request.GET,
        "may_sign_off": may(request.user, "signoff.view"),
    }
    return render(request, "worklists/audit_trail.html", context, status=200 if valid else 422)


class _Echo:
    """A file that gives back what is written to it, for a streamed answer."""

    def write(self, text: str) -> str:
        return text


HEADER = (
    "entry", "time_utc", "time_site", "site", "participant", "form", "row", "act", "item", "old", "new", "reason",
    "who", "account", "chain", "sequence", "hash",
)  # fmt: skip


def csv_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Rows of a Describer as CSV lines, safe to open in a spreadsheet (see `exports.csvfile`)."""
    writer: Any = csv.writer(_Echo(), lineterminator="\r\n")
    yield "\ufeff" + writer.writerow(HEADER)
    for row in rows:
        entry: AuditEntry = row["entry"]
        values = (
            str(entry.pk), row["utc"], row["local"], row["site"], row["subject"], row["form"], entry.row_id,
            row["act"], row["item"], row["old"], row["new"], entry.reason, entry.actor,
            "" if entry.actor_id is None else str(entry.actor_id), entry.chain, str(entry.seq), entry.hash,
        )  # fmt: skip
        yield writer.writerow([cell(value, Kind.TEXT) for value in values])


def _in_blocks(rows: QuerySet[AuditEntry], columns: Iterable[str], size: int = 1000) -> Iterator[dict[str, Any]]:
    last = 0
    while block := list(rows.filter(pk__gt=last).order_by("id")[:size]):
        yield from Describer(block, columns).rows()
        last = block[-1].pk


@requires("audit.list")
@require_safe
@limited("export")
def audit_csv(request: SignedInRequest) -> HttpResponse | StreamingHttpResponse:
    """All entries of the filter, oldest first, as CSV; the download is itself on the trail before it starts."""
    form = FilterForm(request.user, request.GET)
    if not form.is_valid():
        return render(request, "worklists/audit_trail.html", {"form": form, "rows": []}, status=422)
    rows = form.narrowed(visible(request.user))
    with acting(request.user):
        detail = {name: str(value) for name, value in form.cleaned_data.items() if value and name != "person"}
        record_event("audit trail exported", user_id=request.user.pk, detail=detail)
    response = StreamingHttpResponse(
        csv_lines(_in_blocks(rows, form.columns())), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="spinetrial-audit-trail.csv"'
    return response
