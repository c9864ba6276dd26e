from django.urls import path

from spinetrial.exports import e2b, views

urlpatterns = [
    path("data-versions/<int:number>/export.zip", views.export_zip, name="export_zip"),
    path("trial/open-points.csv", views.open_points_csv, name="open_points_csv"),
    path("subjects/<slug:code>/adverse-events/<int:pk>/reports/<int:number>/e2b.csv", e2b.sae_csv, name="sae_csv"),
]
