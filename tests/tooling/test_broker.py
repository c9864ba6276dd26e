"""The database as Celery's broker, reached as the application role over a socket directory."""

from django.conf import settings
from django.db import connection
from kombu import Connection

from spinetrial import env
from spinetrial.celery import app


def test_a_message_goes_through_the_schema_of_the_broker(committed_db):
    with Connection(env.broker_url(settings.DATABASES["default"])) as broker:
        queue = broker.SimpleQueue("tooling")
        queue.put({"pain": 7})
        message = queue.get(timeout=5)
        assert message.payload == {"pain": 7}
        message.ack()
        queue.close()
        broker.default_channel.session.get_bind().dispose()
    with connection.cursor() as cursor:
        cursor.execute("SELECT schemaname, tablename FROM pg_tables WHERE tableowner = current_user ORDER BY 2")
        assert cursor.fetchall() == [("broker", "kombu_message"), ("broker", "kombu_queue")]


def test_the_schedule_names_tasks_that_exist():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_jobs_are_redelivered_and_speak_json_only():
    assert app.conf.task_acks_late is True
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_ignore_result is True
