from django.apps import AppConfig


class RadiotherapyConfig(AppConfig):
    name = "radiotherapy"
