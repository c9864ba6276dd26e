from django.urls import path

from followup import views

urlpatterns = [
    path("reminders/", views.reminder_list, name="reminders"),
    path("reminders/<int:pk>/stop/", views.reminder_stop, name="reminder_stop"),
]
