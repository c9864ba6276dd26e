from django.urls import path

from spinetrial.analysis import views

urlpatterns = [
    path("trial/", views.trial, name="trial"),
    path("trial/freeze/", views.trial_freeze, name="trial_freeze"),
    path("trial/unfreeze/", views.trial_unfreeze, name="trial_unfreeze"),
    path("trial/lock/", views.trial_lock, name="trial_lock"),
    path("trial/unlock/", views.trial_unlock, name="trial_unlock"),
    path("data-versions/", views.data_versions, name="data_versions"),
    path("data-versions/<int:number>/", views.data_version, name="data_version"),
    path("safety/reconciliation/", views.sae_reconciliation, name="sae_reconciliation"),
]
