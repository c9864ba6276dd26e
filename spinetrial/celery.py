"""The Celery application. Tasks live in the `tasks` module of each room."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "spinetrial.settings")

app = Celery("spinetrial")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
