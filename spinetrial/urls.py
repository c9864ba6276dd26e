"""All addresses. Each room brings its own list; names are unique across rooms."""

from django.urls import URLPattern, URLResolver, include, path

ROOMS = (
    "spinetrial.access",
    "spinetrial.outbox",
    "patients",
    "randomization",
    "radiotherapy",
    "adverse_events",
    "spinetrial.worklists",
    "spinetrial.analysis",
    "spinetrial.exports",
    "spinetrial.reports",
    # last, because its addresses are patterns over the codes of the CRFs
    "spinetrial.crf",
)

urlpatterns: list[URLPattern | URLResolver] = [path("", include(f"{room}.urls")) for room in ROOMS]
