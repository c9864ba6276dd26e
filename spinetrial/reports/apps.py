from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "spinetrial.reports"
    label = "reports"
