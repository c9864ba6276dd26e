from django.urls import path

from followup import analgesics
from followup import questionnaire_views as views

urlpatterns = [
    path("subjects/<slug:code>/analgesics/<str:event>/", analgesics.analgesics_live, name="analgesics_live"),
    path("q/<str:token>/", views.start, name="questionnaire"),
    path("q/<str:token>/body.svg", views.body, name="questionnaire_body"),
    path("q/<str:token>/<slug:step>/", views.step, name="questionnaire_step"),
    path("subjects/<slug:code>/questionnaire/<slug:event>/", views.link_page, name="questionnaire_link"),
    path("subjects/<slug:code>/questionnaire/<slug:event>/slip/", views.slip, name="questionnaire_slip"),
]
