"""What is done once before the programs start: Django's checks, tables, the first administrator, a Redis that answers.

`python -m mailspool.prepare` is run by the supervisor, and by hand or by a unit before the services start.
"""

from __future__ import annotations

import io
import sys
import time

import django
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import OperationalError, connection
from redis import Redis
from redis.exceptions import RedisError

from mailspool import heartbeats, start
from mailspool.preflight import CannotStart

REDIS_PATIENCE_SECONDS = 20.0


def prepare() -> None:
    """Check the settings, bring the database up to date, make the first administrator, and wait for Redis.

    The programs are started with --skip-checks. Raises CannotStart.
    """
    try:
        # Its "no issues" is no news; issues go to stderr.
        call_command("check", stdout=io.StringIO())
        call_command("migrate", verbosity=0, interactive=False)
        call_command("firstadmin")
    except SystemCheckError as error:
        raise CannotStart(str(error)) from error
    except OperationalError as error:
        raise CannotStart(f"The database can't be used: {str(error).strip()} (DATABASE_URL says which).") from error
    finally:
        connection.close()
    client = _wait_for_redis()
    if settings.REDIS_IS_EMBEDDED:
        # /readyz must not take the programs of an earlier run for this one's.
        heartbeats.forget(client)


def _wait_for_redis() -> Redis:
    url = str(settings.RQ_CONNECTION["URL"])
    client = Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    deadline = time.monotonic() + REDIS_PATIENCE_SECONDS
    while True:
        try:
            client.ping()
        except RedisError as error:
            if time.monotonic() > deadline:
                which = f"embedded Redis (see {settings.HOME.redis_log})"
                if not settings.REDIS_IS_EMBEDDED:
                    which = "Redis of REDIS_URL"
                raise CannotStart(f"The {which} does not answer: {error}.") from error
            time.sleep(0.05)
        else:
            return client


def main() -> int:
    start.begin()
    django.setup()
    try:
        prepare()
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
