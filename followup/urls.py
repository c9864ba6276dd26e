from django.urls import path

from followup import questionnaire_views, views

urlpatterns = [
    path("reminders/", views.reminder_list, name="reminders"),
    path("reminders/<int:pk>/stop/", views.reminder_stop, name="reminder_stop"),
    path("q/<str:token>/", questionnaire_views.start, name="questionnaire"),
    path("q/<str:token>/body.svg", questionnaire_views.body, name="questionnaire_body"),
    path("q/<str:token>/<slug:step>/", questionnaire_views.step, name="questionnaire_step"),
    path("subjects/<slug:code>/questionnaire/<slug:event>/", questionnaire_views.link_page, name="questionnaire_link"),
    path("subjects/<slug:code>/questionnaire/<slug:event>/slip/", questionnaire_views.slip, name="questionnaire_slip"),
]
