from django.urls import path

from adverse_events import coding_views, ctcae_views, report_views, views

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
    path("coding/", coding_views.worklist, name="coding"),
    path("coding/exact/", coding_views.coding_exact, name="coding_exact"),
    path("coding/<int:pk>/", coding_views.coding_event, name="coding_event"),
    path("meddra/", coding_views.dictionaries, name="meddra"),
    path("meddra/changes/", coding_views.meddra_changes, name="meddra_changes"),
    path("meddra/imports/<int:pk>/", coding_views.meddra_import, name="meddra_import"),
    path("meddra/<int:pk>/in-force/", coding_views.meddra_force, name="meddra_force"),
    path("ctcae/expected/", report_views.ctcae_expected, name="ctcae_expected"),
    path("ctcae/", ctcae_views.ctcae_lookup, name="ctcae"),
    path("ctcae/search/", ctcae_views.ctcae_search, name="ctcae_search"),
    path("ctcae/guide/", ctcae_views.ctcae_guide, name="ctcae_guide"),
    path("ctcae/load/", ctcae_views.ctcae_load, name="ctcae_load"),
    path("ctcae/<slug:code>/", ctcae_views.ctcae_term, name="ctcae_term"),
]
