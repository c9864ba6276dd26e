from django.urls import path

from followup import analgesics, views

urlpatterns = [
    path("subjects/<slug:code>/analgesics/<str:event>/", analgesics.analgesics_live, name="analgesics_live"),
    path("reminders/", views.reminder_list, name="reminders"),
    path("reminders/<int:pk>/stop/", views.reminder_stop, name="reminder_stop"),
]
