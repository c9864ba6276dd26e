"""The log: times in UTC, and no value of a record in a traceback."""

import io
import logging

import pytest
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.utils import timezone

from spinetrial.log import PlainFormatter


@pytest.mark.django_db
def test_a_refused_row_is_logged_without_its_values():
    def add():
        Session.objects.create(session_key="the-value", session_data="", expire_date=timezone.now())
        Session.objects.bulk_create([Session(session_key="the-value", session_data="", expire_date=timezone.now())])

    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(PlainFormatter())
    logger = logging.Logger("made for this test")
    logger.addHandler(handler)
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        add()
    assert "the-value" in str(refused.value)
    logger.error("The save failed", exc_info=refused.value)
    assert "duplicate key" in output.getvalue()
    assert "the-value" not in output.getvalue().replace('session_key="the-value"', "")


def test_times_are_utc():
    record = logging.LogRecord("n", logging.INFO, "", 0, "hello", (), None)
    record.created = 0
    assert PlainFormatter().format(record) == "1970-01-01T00:00:00Z INFO n hello"
