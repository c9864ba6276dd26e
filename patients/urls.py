from django.urls import path

from patients import analgesics, views

urlpatterns = [
    path("subjects/new/", views.subject_new, name="subject_new"),
    path("subjects/<slug:code>/contact/", views.contact, name="contact"),
    path("subjects/<slug:code>/contact/delete/", views.contact_purge, name="contact_purge"),
    path("subjects/<slug:code>/eligibility/", views.eligibility, name="eligibility"),
    path("analgesics/search/", analgesics.drug_search, name="drug_search"),
]
