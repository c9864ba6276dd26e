from django.urls import path

from spinetrial.exports import views

urlpatterns = [
    path("data-versions/<int:number>/export.zip", views.export_zip, name="export_zip"),
    path("trial/open-points.csv", views.open_points_csv, name="open_points_csv"),
]
