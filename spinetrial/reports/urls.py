from django.urls import path

from spinetrial.reports import sae, views

urlpatterns = [
    path("report/", views.report, name="report"),
    path("report/pdf/", views.report_pdf, name="report_pdf"),
    path("subjects/<slug:code>/adverse-events/<int:pk>/reports/<int:number>/cioms.pdf", sae.sae_pdf, name="sae_pdf"),
]
