from django.urls import path

from adverse_events import ctcae_views, views

urlpatterns = [
    path("subjects/<slug:code>/adverse-events/", views.event_list, name="adverse_events"),
    path("safety/", views.safety, name="safety"),
    path("ctcae/", ctcae_views.ctcae_lookup, name="ctcae"),
    path("ctcae/search/", ctcae_views.ctcae_search, name="ctcae_search"),
    path("ctcae/guide/", ctcae_views.ctcae_guide, name="ctcae_guide"),
    path("ctcae/load/", ctcae_views.ctcae_load, name="ctcae_load"),
    path("ctcae/<slug:code>/", ctcae_views.ctcae_term, name="ctcae_term"),
]
