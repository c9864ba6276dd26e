"""The pages of the questionnaire: the participant's, without account or cookie, and where staff make the link."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import wraps
from typing import Any

import qrcode
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from qrcode.image.svg import SvgPathFillImage

from followup import questionnaire
from followup.body import body_words, marked_body
from followup.models import Channel
from followup.questionnaire import BadAnswer, Link, NotOpen, Standing
from followup.questionnaire_models import LANGUAGES
from patients.models import AnalgesicStatus, Subject
from spinetrial.access import limits, lockout
from spinetrial.access.gate import SignedInRequest, check_may, get_record, public, requires
from spinetrial.audit.demo import is_demo
from spinetrial.crf.forms import NrsSelect
from spinetrial.protocol import CURRENT, events

METHODS = ("GET", "HEAD", "POST")

#: HTTP status of a link that cannot be used now.
STATUS = {
    Standing.NOT_YET: 200,
    Standing.ANSWERED: 200,
    Standing.EXPIRED: 410,
    Standing.REVOKED: 410,
    Standing.CLOSED: 410,
    Standing.PAUSED: 410,
}


# --- the participant's pages ---


def discreet(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Decorate a page for whoever holds the link: counted per address, found by no search engine, kept by no browser.

    The token stands for the person, so no cookie is read or set, and no forged form could name it.
    """

    @wraps(view)
    def guarded(request: HttpRequest, token: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in METHODS:
            return _private(HttpResponseNotAllowed(METHODS))
        address = lockout.of_address(request)
        if limits.over("forged link", address) or not limits.count("questionnaire", address):
            return _private(_sorry(request, "busy", 429))
        link = questionnaire.read_token(token)
        if link is None:
            limits.count("forged link", address)
            return _private(_sorry(request, "forged", 404))
        return _private(view(request, token, link, *args, **kwargs))

    return csrf_exempt(guarded)


def _private(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    # Django would write the address of every refusal to the log, and a link that still works is in some of them.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _page(name: str, language: str, status: int = 200, **context: Any) -> HttpResponse:
    """A page of the questionnaire. Rendered without the request, so that who is logged in plays no part."""
    with translation.override(language):
        text = render_to_string(f"questionnaire/{name}.html", {"demo": is_demo(), **context})
    response = HttpResponse(text, status=status)
    response["Content-Language"] = language
    return response


def _browser_language(request: HttpRequest) -> str:
    return translation.get_language_from_request(request)


def _sorry(request: HttpRequest, why: str, status: int, language: str = "", **context: Any) -> HttpResponse:
    """The calm page of a link that cannot be used; the same words whoever's it was."""
    return _page("closed", language or _browser_language(request), status, why=why, **context)


def _not_open(request: HttpRequest, link: Link, standing: Standing) -> HttpResponse:
    opens, _closes = questionnaire.window_of(link.invitation)
    return _sorry(
        request,
        standing.name.lower(),
        STATUS[standing],
        link.invitation.language,
        opens=opens,
        tablet=link.channel is Channel.TABLET,
    )


@public
@discreet
def start(request: HttpRequest, token: str, link: Link) -> HttpResponse:
    """The first page: the language, then on to the first question not answered."""
    standing = questionnaire.standing_of(link.invitation)
    if standing is not Standing.OPEN:
        return _not_open(request, link, standing)
    if request.method != "POST":
        return _page("start", _browser_language(request), languages=LANGUAGES)
    try:
        language = questionnaire.read_language(request.POST.get("language", ""))
        answers = questionnaire.do_answer(link, language=language)
    except BadAnswer:
        return _page("start", _browser_language(request), 422, languages=LANGUAGES)
    except NotOpen as refusal:
        return _not_open(request, link, refusal.standing)
    return redirect("questionnaire_step", token, questionnaire.next_step(answers))


@public
@discreet
def step(request: HttpRequest, token: str, link: Link, step: str) -> HttpResponse:
    """One question. Each answer is kept on the server before the next page opens."""
    standing = questionnaire.standing_of(link.invitation)
    if standing is not Standing.OPEN:
        return _not_open(request, link, standing)
    if step not in questionnaire.STEPS:
        return _sorry(request, "forged", 404)
    answers = questionnaire.answers_of(link.invitation)
    if not questionnaire.may_open(step, answers):
        reached = questionnaire.next_step(answers)
        return redirect("questionnaire_step", token, reached) if reached else redirect("questionnaire", token)
    problem = ""
    if request.method == "POST":
        try:
            return redirect(_answer(request, token, link, step, answers))
        except BadAnswer as refusal:
            problem = refusal.problem
        except NotOpen as refusal:
            return _not_open(request, link, refusal.standing)
    return _question(request, token, link, step, answers, problem)


def _answer(request: HttpRequest, token: str, link: Link, step: str, answers: dict[str, Any]) -> str:
    """Keep what was posted; the address of the next page. Raises BadAnswer, NotOpen."""
    posted = request.POST
    if step == "check":
        if "confirm" not in posted:
            raise BadAnswer("missing")
        questionnaire.do_submit(link)
        return reverse("questionnaire", args=[token])
    if step == "pain":
        answers = questionnaire.do_answer(link, nrs=questionnaire.read_score(posted.get("nrs", "")))
        following = "medicines"
    elif step == "medicines":
        answers = questionnaire.do_answer(link, analgesics=questionnaire.read_status(posted.get("analgesics", "")))
        following = "which" if answers["analgesics"] == AnalgesicStatus.SOME else "check"
    else:
        medicines = questionnaire.medicines_of(link.subject, link.invitation.event)
        answers = questionnaire.do_answer(link, taken=questionnaire.read_medicines(posted.dict(), medicines))
        following = "check"
    # Who corrects an earlier answer from the last page goes back there.
    following = "check" if "back" in posted and questionnaire.may_open("check", answers) else following
    return reverse("questionnaire_step", args=[token, following])


class _ScoreForm(forms.Form):
    nrs = forms.ChoiceField(choices=[(n, str(n)) for n in range(11)], widget=NrsSelect)


def _question(
    request: HttpRequest, token: str, link: Link, step: str, answers: dict[str, Any], problem: str
) -> HttpResponse:
    language = answers["language"]
    steps = questionnaire.steps_of(answers)
    before = steps[steps.index(step) - 1] if steps.index(step) else ""
    # The page shows what was posted when it was refused, else what is kept.
    posted = request.POST if problem and step != "check" else None
    context: dict[str, Any] = {
        "problem": problem,
        "step": step,
        "number": steps.index(step) + 1,
        "count": len(steps),
        "answers": answers,
        "token": token,
        "other_language": next((code, label) for code, label in LANGUAGES if code != language),
        "start_url": reverse("questionnaire", args=[token]),
        "back_url": reverse("questionnaire_step", args=[token, before]) if before else "",
        "changing": request.GET.get("change", "") or (posted.get("back", "") if posted is not None else ""),
    }
    with translation.override(language):
        if step in ("pain", "check"):
            level = questionnaire.index_level(link.subject)
            context |= {"level": level, "where": body_words(level)}
        if step == "pain":
            context["field"] = _ScoreForm(initial={"nrs": answers.get("nrs")})["nrs"]
        elif step == "medicines":
            context["choices"] = [
                (AnalgesicStatus.SOME.value, _("Yes")),
                (AnalgesicStatus.NONE.value, _("No, none")),
                (AnalgesicStatus.UNKNOWN.value, _("I do not know")),
            ]
        else:
            medicines = questionnaire.medicines_of(link.subject, link.invitation.event)
            if step == "which":
                context |= _lines(medicines, answers, posted)
            else:
                context["taken"] = _taken(medicines, answers)
        return _page(f"step_{step}", language, 422 if problem else 200, **context)


def _lines(medicines: list[questionnaire.Medicine], answers: dict[str, Any], posted: Any) -> dict[str, Any]:
    """The list of medicines with the numbers given, and the lines for others."""
    taken = answers.get("taken", [])
    known = {questionnaire.Medicine("", "", False, row).key: row.get("times") or "" for row in taken}
    listed = {medicine.key for medicine in medicines}
    others = [row for row in taken if questionnaire.Medicine("", "", False, row).key not in listed]
    lines = [
        {
            "name": medicine.name,
            "amount": medicine.amount,
            "patch": medicine.patch,
            "value": posted.get(f"number-{n}", "") if posted is not None else known.get(medicine.key, ""),
        }
        for n, medicine in enumerate(medicines)
    ]
    blank = []
    for n in range(questionnaire.OTHERS):
        row = others[n] if n < len(others) else {}
        blank.append(
            {
                "name": posted.get(f"other-{n}", "") if posted is not None else row.get("other_name", ""),
                "value": posted.get(f"other-number-{n}", "") if posted is not None else row.get("times") or "",
            }
        )
    return {"lines": lines, "others": blank}


def _taken(medicines: list[questionnaire.Medicine], answers: dict[str, Any]) -> list[tuple[str, str]]:
    """What was taken, in words: name with dose, and number."""
    names = {medicine.key: f"{medicine.name} {medicine.amount}".strip() for medicine in medicines}
    return [
        (
            names.get(questionnaire.Medicine("", "", False, row).key) or row.get("other_name") or row["drug"],
            row.get("times") or _("number not known"),
        )
        for row in answers.get("taken", [])
    ]


@public
@discreet
def body(request: HttpRequest, token: str, link: Link) -> HttpResponse:
    """The picture of the place whose pain is asked about."""
    if questionnaire.standing_of(link.invitation) is not Standing.OPEN:
        return _sorry(request, "forged", 404)
    return HttpResponse(marked_body(questionnaire.index_level(link.subject)), content_type="image/svg+xml")


# --- where staff make the link ---


class RevokeForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Why is the link revoked?"), max_length=500)


@requires("crf.enter")
@require_http_methods(["GET", "HEAD", "POST"])
def link_page(request: SignedInRequest, code: str, event: str) -> HttpResponse:
    """Make, show, print and revoke the link of one visit, or hand the tablet over."""
    subject = get_record(request.user, Subject, "crf.enter", code=code)
    if not events.is_follow_up(CURRENT, event):
        raise Http404
    verb = request.POST.get("verb", "")
    form = RevokeForm(request.POST if verb == "revoke" else None)
    address = reverse("questionnaire_link", args=[code, event])
    if request.method == "POST":
        try:
            if verb == "tablet":
                return _hand_over(request, subject, event)
            if verb == "make":
                questionnaire.do_invite(request.user, subject, event, Channel.PAPER)
                messages.success(request, _("The link is made."))
                return redirect(address)
            if verb == "revoke" and form.is_valid():
                questionnaire.do_revoke(request.user, subject, event, form.cleaned_data["reason"])
                messages.success(request, _("The link is revoked. It can no longer be used."))
                return redirect(address)
        except NotOpen:
            messages.error(request, _("This was changed meanwhile. Nothing was done; see below how it stands."))
            return redirect(address)
    return render(
        request,
        "questionnaire/link.html",
        {**_link_context(subject, event), "form": form},
        status=422 if request.method == "POST" else 200,
    )


def _link_context(subject: Subject, event: str) -> dict[str, Any]:
    invitation = questionnaire.invitation_of(subject, event)
    report = questionnaire.report_of(subject, event)
    standing = questionnaire.standing_of(invitation) if invitation else questionnaire.readiness(subject, event)
    if report is not None:
        standing = Standing.ANSWERED
    plan = questionnaire.plan_for(subject, event)
    url = ""
    if invitation is not None and settings.SITE_URL and standing in (Standing.OPEN, Standing.NOT_YET):
        token = questionnaire.token_of(invitation, Channel.PAPER)
        url = settings.SITE_URL + reverse("questionnaire", args=[token])
    return {
        "subject": subject,
        "event": event,
        "visit": events.event_title(CURRENT, event, _),
        "visit_url": reverse("crf", args=[subject.code, "F.VISIT", event]),
        "report_url": reverse("crf", args=[subject.code, "F.EPRO", event]) if report else "",
        "report": report,
        "invitation": invitation,
        "standing": standing.name.lower(),
        "opens": plan.opens,
        "closes": min(plan.closes, invitation.expires) if plan.closes and invitation else plan.closes,
        "site_url": bool(settings.SITE_URL),
        "url": url,
        "qr": qr_code(url) if url else "",
        "zone": subject.site.timezone,
    }


def qr_code(text: str) -> str:
    """A QR code as the address of an image, drawn as SVG."""
    image = qrcode.make(text, image_factory=SvgPathFillImage, error_correction=qrcode.ERROR_CORRECT_M, border=4)
    stream = io.BytesIO()
    image.save(stream)
    return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"


@requires("crf.enter")
@require_safe
def slip(request: SignedInRequest, code: str, event: str) -> HttpResponse:
    """The slip the participant takes home: the code, when it can be used, whom to call. No name, no number."""
    subject = get_record(request.user, Subject, "crf.enter", code=code)
    if not events.is_follow_up(CURRENT, event):
        raise Http404
    context = _link_context(subject, event)
    if not context["url"]:
        return redirect("questionnaire_link", code, event)
    versions = []
    for language, _label in LANGUAGES:
        with translation.override(language):
            versions.append(render_to_string("questionnaire/slip_words.html", {**context, "language": language}))
    return render(request, "questionnaire/slip.html", {**context, "versions": versions})


def _hand_over(request: SignedInRequest, subject: Subject, event: str) -> HttpResponse:
    """End the session of the member of staff, then open the questionnaire on this device."""
    check_may(request.user, "crf.enter", subject.site_id)
    invitation = questionnaire.do_invite(request.user, subject, event, Channel.TABLET)
    if questionnaire.standing_of(invitation) is not Standing.OPEN:
        raise NotOpen(questionnaire.standing_of(invitation))
    token = questionnaire.token_of(invitation, Channel.TABLET)
    request.log_off_reason = "tablet handed to the participant"  # type: ignore[attr-defined]
    logout(request)
    response = redirect("questionnaire", token)
    # Pages of the member of staff must not come back by the button of the browser.
    response["Clear-Site-Data"] = '"cache"'
    response["Cache-Control"] = "no-store, private"
    return response
