"""A whole Mailspool under its supervisor, as `make run` starts it: on SQLite, whatever the run's database is.

The walk of the README (test_readme.py) starts one on PostgreSQL too.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite
PROJECT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0


class Running:
    """`python -m mailspool.processes` in a home of its own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.home = folder / "home"
        self.smtp, self.submission, self.smtps, self.web = (free_port() for _ in range(4))
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MAILSPOOL_")},
            "MAILSPOOL_HOME": str(self.home),
            "MAILSPOOL_HOSTNAME": "mail.test",
            "MAILSPOOL_SMTP_PORT": str(self.smtp),
            "MAILSPOOL_SUBMISSION_PORT": str(self.submission),
            "MAILSPOOL_SMTPS_PORT": str(self.smtps),
            "MAILSPOOL_WEB_PORT": str(self.web),
            "MAILSPOOL_WORKERS": "1",
        }
        self.env.update(env)
        # The tests' database is not for it.
        for name in ("DATABASE_URL", "REDIS_URL"):
            self.env.pop(name, None)
        self.daemon = self.another("first")

    def another(self, name: str, **env: str) -> Daemon:
        log = self.home.parent / f"{name}.log"
        command = [sys.executable, "-m", "mailspool.processes"]
        return Daemon(name, command, log, env={**self.env, **env}, cwd=PROJECT)

    def start(self, seconds: float = READY_SECONDS) -> None:
        self.daemon.log.parent.mkdir(parents=True, exist_ok=True)
        self.daemon.log.write_text("")
        self.daemon.start(lambda: "Mailspool is ready." in self.daemon.log_tail(10_000), seconds)

    def readiness(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/readyz", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                return dict(json.load(error))
        except (OSError, ValueError):
            return {"ready": False}

    def pids(self, words: str) -> list[int]:
        """The programs of this home whose command line has `words`, oldest first."""
        mine = f"MAILSPOOL_HOME={self.home}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    # Redis writes its title, with the socket's path, over its environment.
                    of_mine = str(self.home) in command or mine in (folder / "environ").read_bytes().split(b"\0")
                    if words in command and of_mine:
                        found.append(int(folder.name))
                except OSError:
                    continue
        return sorted(found)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    instance = Running(tmp_path_factory.mktemp("running"), MAILSPOOL_BIND="*")
    instance.start()
    yield instance
    instance.daemon.stop(60)
    instance.daemon.kill()


def test_the_ready_block_says_where_everything_is(running: Running) -> None:
    text = running.daemon.log_tail(10_000)

    assert f"http://127.0.0.1:{running.web}/admin/" in text
    assert f"127.0.0.1:{running.smtp}" in text
    assert str(running.home) in text
    assert f"First administrator: admin@localhost  password: in {running.home}/keys/first-password" in text
    assert (running.home / "keys" / "first-password").read_text().split()[1] not in text


def test_it_is_ready_when_it_says_so(running: Running) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp, timeout=10) as client:
        assert client.ehlo()[0] == 250
    assert running.readiness()["ready"]


def test_on_every_address_mail_and_the_console_are_had_by_both_families(running: Running) -> None:
    for host in ("127.0.0.1", "::1"):
        assert all(is_listening(port, host) for port in (running.submission, running.smtps))
        with smtplib.SMTP(host, running.smtp, timeout=10) as client:
            assert client.ehlo()[0] == 250
        place = f"[{host}]" if ":" in host else host
        with urllib.request.urlopen(f"http://{place}:{running.web}/", timeout=10) as answer:
            assert answer.status == 200


def test_metrics_count_the_running_programs(running: Running) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.web}/metrics", timeout=5) as answer:
        text = answer.read().decode()

    assert 'mailspool_programs{kind="workers"} 1.0' in text
    assert 'mailspool_up{part="redis"} 1.0' in text
    assert 'mailspool_entries{status="waiting"} 0.0' in text
    assert re.search(r"mailspool_connections_total(\{.*\})? \d", text)


def test_the_console_shows_its_login_page_with_its_styles(running: Running) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.web}/", timeout=10) as answer:
        page = answer.read().decode()
    style = re.search(r'href="(/static/[^"]+\.css)"', page)

    assert "Mailspool" in page
    assert style is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{running.web}{style.group(1)}", timeout=5) as answer:
        assert answer.status == 200


def test_a_second_start_in_the_same_home_is_refused_with_a_sentence(running: Running) -> None:
    second = running.another("second")
    second.start()

    assert second.wait(60) == 1
    assert f"already runs in {running.home}" in second.log_tail()


@pytest.mark.parametrize(
    "words", ["manage.py smtpd", "manage.py rqworker mail", "manage.py scheduler", "valkey-server", "mailspool.wsgi"]
)
def test_a_killed_program_comes_back(running: Running, words: str) -> None:
    victim = running.pids(words)[0]

    os.kill(victim, signal.SIGKILL)

    wait_until(lambda: [pid for pid in running.pids(words) if pid != victim], f"a new {words}", 30)
    wait_until(lambda: running.readiness()["ready"] and is_listening(running.smtp), "ready again", 60)


def test_a_port_in_use_is_named_with_its_variable(tmp_path: Path) -> None:
    instance = Running(tmp_path)
    with socket.create_server(("127.0.0.1", instance.submission)):
        instance.daemon.start()

        assert instance.daemon.wait(60) == 1
    assert f"Port {instance.submission} on 127.0.0.1" in instance.daemon.log_tail()
    assert "MAILSPOOL_SUBMISSION_PORT" in instance.daemon.log_tail()


def test_a_database_that_does_not_answer_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    instance = Running(tmp_path)
    refused = instance.another("refused", DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/nothing")
    refused.start()

    assert refused.wait(60) == 1
    assert "The database can't be used" in refused.log_tail()
    assert "Traceback" not in refused.log_tail()
    assert not instance.pids("valkey-server")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for those who stop it: started when it doesn't run."""
    instance = Running(tmp_path_factory.mktemp("stopped"))
    yield instance
    instance.daemon.stop(60)


def test_one_signal_stops_all_of_it_redis_last_and_the_next_start_is_quick(stopped: Running) -> None:
    instance = stopped
    instance.start()
    instance.daemon.signal(signal.SIGINT)

    assert instance.daemon.wait(60) == 0
    lines = [line for line in instance.daemon.log_tail(20_000).splitlines() if line.endswith(" ended")]
    assert lines[-1].endswith("redis ended")
    assert len(lines) == 6
    assert not instance.pids("")

    began = time.monotonic()
    instance.start()
    assert "password" not in instance.daemon.log_tail().lower()
    # Ten seconds on an idle machine; the tests' machine may have more to do.
    assert time.monotonic() - began < 30


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_waits_for_the_last(stopped: Running) -> None:
    instance = stopped
    if not instance.daemon.alive:
        instance.start()
    os.kill(instance.daemon.pid, signal.SIGKILL)
    instance.daemon.wait(10)

    instance.start(READY_SECONDS + 40)

    assert len(instance.pids("valkey-server")) == 1
    assert len(instance.pids("manage.py smtpd")) == 2, "the listener and its committer"
    instance.daemon.stop(60)
    wait_until(lambda: not instance.pids(""), "all gone", 30)


def test_the_home_s_default_does_not_depend_on_where_a_command_is_run(tmp_path: Path) -> None:
    script = "from mailspool import settings; print(settings.HOME.root)"
    env = {"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"], "MAILSPOOL_SECRET_KEY": "only for this"}
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )

    assert Path(shown.stdout.strip()) == PROJECT / "var"


def test_nobody_else_can_read_what_any_program_writes(running: Running) -> None:
    masks = {
        pid: re.search(r"^Umask:\s*(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        for pid in running.pids("")
    }

    assert len(masks) > 6
    assert {mask.group(1) for mask in masks.values() if mask} == {"0077"}


@pytest.mark.long
def test_a_terminal_shows_the_first_administrator_s_password_once(tmp_path: Path) -> None:
    instance = Running(tmp_path)
    terminal, ours = pty.openpty()
    process = subprocess.Popen(
        instance.daemon.command, cwd=PROJECT, env=instance.env, stdout=ours, stderr=ours, start_new_session=True
    )
    os.close(ours)
    shown = ""
    try:
        while not re.search(r"admin@localhost  password: \S+\r\n", shown):
            assert select.select([terminal], [], [], READY_SECONDS)[0], shown
            shown += os.read(terminal, 4096).decode(errors="replace")
    finally:
        process.terminate()
        reader = threading.Thread(target=_read_all, args=(terminal,))
        reader.start()
        process.wait(60)
        reader.join(10)
    assert not (instance.home / "keys" / "first-password").exists()


def _read_all(terminal: int) -> None:
    """Until the last of those that write to it has ended, which on Linux is an error."""
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:
        os.close(terminal)


def test_check_finds_no_fault_while_all_runs_and_knows_its_own_ports(running: Running) -> None:
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--json"], cwd=PROJECT, env=running.env, capture_output=True, text=True
    )
    rows = json.loads(checked.stdout)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    ports = [row["sentence"] for row in rows if row["subject"] == "ports"]
    assert len(ports) >= 4 and all(sentence.startswith("Mailspool listens on") for sentence in ports)
