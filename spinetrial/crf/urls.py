from django.urls import path

from spinetrial.crf import draft_views, unscheduled, views

urlpatterns = [
    path("subjects/<slug:code>/unscheduled/<str:spec_code>/", unscheduled.unscheduled_new, name="unscheduled"),
    path("subjects/<slug:code>/<str:spec_code>/<slug:key>/", views.crf, name="crf"),
    path("subjects/<slug:code>/<str:spec_code>/<slug:key>/edit/", views.crf_edit, name="crf_edit"),
    path("subjects/<slug:code>/<str:spec_code>/<slug:key>/answers/", views.crf_answers, name="crf_answers"),
    path("subjects/<slug:code>/<str:spec_code>/<slug:key>/draft/", draft_views.draft, name="draft"),
    path(
        "subjects/<slug:code>/<str:spec_code>/<slug:key>/draft/discard/",
        draft_views.draft_discard,
        name="draft_discard",
    ),
]
