from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "spinetrial.outbox"
    label = "outbox"
