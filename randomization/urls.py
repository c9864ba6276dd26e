from django.urls import path

from randomization import views

urlpatterns = [
    path("subjects/<slug:code>/randomize/", views.randomize, name="randomize"),
    path("subjects/<slug:code>/allocation/", views.allocation, name="allocation"),
    path("subjects/<slug:code>/allocation/slip/", views.allocation_slip, name="allocation_slip"),
    path("lists/", views.list_overview, name="lists"),
    path("lists/new/", views.list_generate, name="list_generate"),
    path("lists/import/", views.list_import, name="list_import"),
    path("lists/seals/", views.list_seals, name="list_seals"),
    path("lists/<int:pk>/", views.list_detail, name="list_detail"),
    path("lists/<int:pk>/seal/", views.list_seal, name="list_seal"),
    path("lists/<int:pk>/discard/", views.list_discard, name="list_discard"),
    path("lists/<int:pk>/withdraw/", views.list_withdraw, name="list_withdraw"),
    path("lists/<int:pk>/verify/", views.list_verify, name="list_verify"),
    path("lists/<int:pk>/open/", views.list_open, name="list_open"),
]
