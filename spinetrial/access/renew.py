"""Log-in renewed over a page that is being filled in, so that not a character on it is lost."""

from __future__ import annotations

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from spinetrial.access import limits, lockout
from spinetrial.access.gate import public
from spinetrial.access.models import User
from spinetrial.access.reauthenticate import check_credentials


@public
@never_cache
@require_http_methods(["GET", "POST"])
@sensitive_post_parameters("password", "code")
def renew(request: HttpRequest) -> HttpResponse:
    """GET: who is logged in now, and a token for forms. POST: log the person of the page (`username`) in again.

    Answers {"user", "token"}, or {"errors": {field: message}}; 409 while somebody else is logged in in this browser.
    """
    here = request.user.get_username()
    if request.method == "POST":
        username = request.POST.get("username", "")[:60].replace("\0", "")
        if here and here != username:
            text = _("%(person)s is logged in in this browser now. Log that person out in another window first.")
            return JsonResponse({"errors": {"password": text % {"person": here}}}, status=409)
        if not here and limits.over("log-in", lockout.of_address(request)):
            return limits.too_many(request, "log-in")
        if not here:
            user = User.objects.filter(username=username).first() or User(username=username)
            errors = check_credentials(request, user, request.POST.get("password", ""), request.POST.get("code", ""))
            if errors:
                return JsonResponse({"errors": errors}, status=422)
            login(request, user)
            here = username
    return JsonResponse({"user": here, "token": get_token(request)})
