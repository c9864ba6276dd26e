from django.urls import path

from adverse_events import report_views, views

urlpatterns = [
    path("subjects/<slug:code>/adverse-events/", views.event_list, name="adverse_events"),
    path("subjects/<slug:code>/adverse-events/<int:pk>/reports/", report_views.sae_reports, name="sae_reports"),
    path("subjects/<slug:code>/adverse-events/<int:pk>/reports/sign/", report_views.sae_sign, name="sae_sign"),
    path(
        "subjects/<slug:code>/adverse-events/<int:pk>/reports/<int:number>/",
        report_views.sae_sending,
        name="sae_sending",
    ),
    path("subjects/<slug:code>/adverse-events/<int:pk>/missed/<slug:clock>/", report_views.sae_miss, name="sae_miss"),
    path("safety/", views.safety, name="safety"),
    path("ctcae/search/", views.ctcae_search, name="ctcae_search"),
    path("ctcae/expected/", report_views.ctcae_expected, name="ctcae_expected"),
]
