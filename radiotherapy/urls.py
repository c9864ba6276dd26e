from django.urls import path

from radiotherapy import views

urlpatterns = [
    path("subjects/<slug:code>/radiotherapy/", views.radiotherapy, name="radiotherapy"),
    path("subjects/<slug:code>/radiotherapy/edit/", views.radiotherapy_edit, name="radiotherapy_edit"),
    path("subjects/<slug:code>/radiotherapy/fraction/", views.fraction_new, name="fraction_new"),
]
