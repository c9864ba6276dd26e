from django.urls import path

from adverse_events import views

urlpatterns = [
    path("subjects/<slug:code>/adverse-events/", views.event_list, name="adverse_events"),
    path("ctcae/search/", views.ctcae_search, name="ctcae_search"),
]
