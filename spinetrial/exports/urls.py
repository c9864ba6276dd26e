from django.urls import path

from spinetrial.exports import views

urlpatterns = [path("data-versions/<int:number>/export.zip", views.export_zip, name="export_zip")]
