from django.apps import AppConfig


class WorklistsConfig(AppConfig):
    name = "spinetrial.worklists"
    label = "worklists"
