from django.urls import path

from spinetrial.reports import views

urlpatterns = [
    path("report/", views.report, name="report"),
    path("report/pdf/", views.report_pdf, name="report_pdf"),
]
