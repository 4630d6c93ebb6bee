"""What is done once before the programs start: checks, tables, the console's files, the first administrator, Redis.

`python -m mailspool.prepare` is run by the supervisor, and by hand or by a unit before the services start.
"""

from __future__ import annotations

import argparse
import io
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import OperationalError, connection

from base import schema
from mailspool import availability, schema_repair, start, static_files
from mailspool.inspection.findings import Level
from mailspool.inspection.program import plug_ins
from mailspool.preflight import CannotStart

# After a boot PostgreSQL may have a long log to read before it answers. What starts us tries again after that.
DATABASE_PATIENCE_SECONDS = 300.0
# Mail flows without Redis: it must not wait for it any longer than that.
REDIS_PATIENCE_SECONDS = 20.0


def prepare(patience_seconds: float = DATABASE_PATIENCE_SECONDS, *, show_password: bool = False) -> None:
    """Check the settings, bring the database up to date, make the first administrator, and wait for Redis.

    The administrator's password is shown on a terminal, and elsewhere with `show_password`. The programs are started
    with --skip-checks. Raises CannotStart.
    """
    # Django has to be set up.
    from accounts.models import Role, User
    from spool.alerts import defaults as default_rules
    from spool.files import marks
    from spool.monitoring import programs
    from throttling import first_policy

    if settings.HOME.restore_mark.exists():
        raise CannotStart(schema.RESTORE_UNFINISHED)
    try:
        # Its "no issues" is no news; issues go to stderr.
        call_command("check", fail_level="ERROR", stdout=io.StringIO())
        if faults := [finding.sentence for finding in plug_ins() if finding.level is Level.FAULT]:
            raise CannotStart("\n".join(faults))
        availability.wait_for_database(patience_seconds)
        # Two machines may begin at once, or a unit and somebody by hand.
        with schema.alone():
            schema_repair.mend()
            call_command("migrate", verbosity=0, interactive=False)
            if fault := schema.examine().fault:
                raise CannotStart(fault)
            if missing := marks.settle():
                raise CannotStart("\n".join(missing))
            is_new = not User.objects.filter(role=Role.SYSTEM_ADMINISTRATOR).exists()
            _copy_static_files()
            call_command("firstadmin", show_password=show_password)
            if is_new:
                # Nobody reads what is sent to the administrator of a laptop.
                address = str(settings.MAILSPOOL_ADMIN_EMAIL)
                default_rules.make("" if address.endswith("@localhost") else address)
                first_policy.make()
        if settings.REDIS_IS_EMBEDDED:
            # /readyz must not take the programs of an earlier run for this one's.
            programs.forget_those_here()
    except SystemCheckError as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(
            f"The console's files can't be copied to {settings.STATIC_ROOT}: {error.strerror}."
        ) from error
    except OperationalError as error:
        raise CannotStart(f"The database can't be used: {str(error).strip()} (DATABASE_URL says which).") from error
    finally:
        connection.close()
    availability.wait_for_redis(min(REDIS_PATIENCE_SECONDS, patience_seconds))


def _copy_static_files() -> None:
    try:
        static_files.collect()
    except OSError as error:
        where = settings.STATIC_ROOT
        raise CannotStart(f"The console's files can't be copied to {where}: {error.strerror}.") from error


def main(arguments: list[str]) -> int:
    start.begin(program=True)
    parser = argparse.ArgumentParser(prog="python -m mailspool.prepare", description="Prepare a start of Mailspool.")
    parser.add_argument(
        "--patience",
        type=float,
        default=DATABASE_PATIENCE_SECONDS,
        metavar="SECONDS",
        help="how long to wait for a database that does not answer (%(default)g)",
    )
    parser.add_argument(
        "--show-password", action="store_true", help="print the first administrator's password, also into a log"
    )
    options = parser.parse_args(arguments)
    django.setup()
    try:
        prepare(options.patience, show_password=options.show_password)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
