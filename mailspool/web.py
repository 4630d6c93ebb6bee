"""The console's program: gunicorn with what Mailspool wants of it, on the sockets of MAILSPOOL_WEB_PORT.

gunicorn itself can't have both families on one port, nor keep its sockets for its next life.
"""

from __future__ import annotations

import argparse
import os
import sys

from mailspool import start
from spool.sockets import service_manager
from spool.sockets.binding import CannotListen, open_sockets
from spool.sockets.inheritance import NotOurs, handed_over
from spool.sockets.listeners import WEB

_OPTIONS = (
    "--worker-class",
    "gthread",
    "--workers",
    "2",
    "--threads",
    "4",
    "--preload",
    "--graceful-timeout",
    "25",
    "--timeout",
    "60",
    "--no-control-socket",
    "--log-level",
    "warning",
)


def main(arguments: list[str]) -> int:
    start.begin()
    parser = argparse.ArgumentParser(prog="python -m mailspool.web", description="Serve the console.")
    parser.add_argument(
        "--socket",
        action="append",
        default=[],
        metavar="web=NUMBER",
        help="a listening socket that this process has inherited",
    )
    options = parser.parse_args(arguments)
    from mailspool import settings

    try:
        handed = handed_over(os.environ, options.socket)
        sockets = handed.given.get(WEB.name)
        if sockets is None:
            kept = handed.kept.get(WEB.name, [])
            sockets = open_sockets(settings.MAILSPOOL_LISTEN[WEB.name], WEB, shared=False, kept=kept)
            service_manager.keep(WEB.name, sockets, afresh=bool(kept))
    except (NotOurs, CannotListen) as error:
        print(error, file=sys.stderr)
        return 1
    for one in sockets:
        one.set_inheritable(True)
    binds = [f"--bind=fd://{one.fileno()}" for one in sockets]
    command = [sys.executable, "-m", "gunicorn", "mailspool.wsgi", *_OPTIONS, *binds]
    os.execv(command[0], command)  # noqa: S606 – it becomes gunicorn


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
