"""What is called once an hour, with the time: each of ours bears it, and one that fails keeps no other back."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from spool import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
_called: list[datetime] = []


def failing(now: datetime) -> None:
    raise ValueError("this one has a fault")


def following(now: datetime) -> None:
    _called.append(now)


@pytest.mark.parametrize("path", settings.SPOOL_HOUSEKEEPING)
def test_each_of_ours_takes_the_time(path: str) -> None:
    import_string(path)(timezone.now())


def test_one_that_fails_keeps_no_other_back(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    _called.clear()
    settings.SPOOL_HOUSEKEEPING = [f"{__name__}.failing", f"{__name__}.following"]
    with caplog.at_level(logging.ERROR):
        tasks.forget()
    assert len(_called) == 1 and "failing failed" in caplog.text
