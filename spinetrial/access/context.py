"""What the frame of every page needs: places, sites, who, state."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from spinetrial.access.gate import may, sites_for
from spinetrial.access.models import StudySite, TrialState, User
from spinetrial.access.policy import Role
from spinetrial.access.sessions import seconds_left
from spinetrial.audit.demo import is_demo


class Place(NamedTuple):
    action: str
    url_name: str
    label: Any
    icon: str


#: The left rail, in order. A place is shown to those who may go there.
PLACES = (
    Place("worklist.view", "worklist", _("Worklist"), "worklist"),
    Place("subject.view", "matrix", _("Participants"), "patients"),
    Place("query.view", "queries", _("Queries"), "queries"),
    Place("sdv.view", "sdv", _("Verification"), "eye"),
    Place("sign", "signing", _("Signatures"), "sign"),
    Place("dashboard.view", "dashboard", _("Dashboard"), "dashboard"),
    Place("safety.view", "safety", _("Safety"), "safety"),
    Place("ae.code", "coding", _("Coding"), "edit"),
    Place("casebook", "site_file", _("Site file"), "site"),
    Place("lists.manage", "lists", _("Randomisation lists"), "lists"),
    Place("audit.list", "audit_trail", _("Audit trail"), "history"),
    Place("report.view", "report", _("Report"), "report"),
    Place("trial.view", "trial", _("Data versions"), "versions"),
    Place("admin.accounts", "accounts", _("Administration"), "administration"),
)


def chosen_site(request: HttpRequest, action: str) -> StudySite | None:
    """The site picked in the top bar, if the person may do `action` there; None means all of theirs."""
    code = request.session.get("site", "")
    if not code:
        return None
    allowed = sites_for(request.user, action)  # type: ignore[arg-type]
    site = StudySite.objects.filter(code=code).first()
    return site if site and (allowed is None or site.pk in allowed) else None


def sites_of(user: User, action: str) -> list[StudySite]:
    """The sites where the person may do `action`, by code."""
    allowed, rows = sites_for(user, action), StudySite.objects.order_by("code")
    return list(rows if allowed is None else rows.filter(pk__in=allowed))


def role_names(user: User) -> str:
    names = dict.fromkeys(str(Role(m.role).label) for m in user.current_memberships)
    return ", ".join(names)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `frame`, as `templates/base.html` describes it."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"frame": {"demo": is_demo()}}
    match = request.resolver_match
    here = match.url_name if match else ""
    nav = [
        {"url": url, "label": place.label, "icon": place.icon, "active": place.url_name == here}
        for place in PLACES
        if may(user, place.action)
        for url in [reverse(place.url_name)]
    ]
    allowed = sites_for(user, "subject.view")
    sites = StudySite.objects.all() if allowed is None else StudySite.objects.filter(pk__in=allowed)
    chosen = request.session.get("site", "")
    choices = [{"code": site.code, "name": site.name, "selected": site.code == chosen} for site in sites]
    if len(choices) > 1:
        choices.insert(0, {"code": "", "name": _("All sites"), "selected": not chosen})
    return {
        "frame": {
            "nav": nav,
            "sites": choices,
            "site": next((each for each in choices if each["selected"]), choices[0] if choices else None),
            "user_name": user.full_name,
            "role_label": role_names(user),
            "session_seconds": seconds_left(request),
            "untrained": [m for m in user.current_memberships if m.needs_training and not m.may_enter],
            "demo": is_demo(),
            "trial_state": TrialState.current().state,
        }
    }
