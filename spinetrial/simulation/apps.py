from django.apps import AppConfig


class SimulationConfig(AppConfig):
    name = "spinetrial.simulation"
    label = "simulation"
