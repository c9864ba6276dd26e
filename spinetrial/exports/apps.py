from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "spinetrial.exports"
    label = "exports"
