from django.urls import path

from spinetrial.outbox import views

urlpatterns = [
    path("messages/", views.message_list, name="messages"),
    path("messages/<int:pk>/stop/", views.message_stop, name="message_stop"),
]
