"""The README's walk, pasted: its commands, as they stand there, in a copy of the project with an empty environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "var", "__pycache__", ".*_cache", ".hypothesis", "*.sqlite3", "test-results"
)
# Ports that the walk names, and those that `make run` takes by itself.
PORTS = {"2525": "MAILSPOOL_SMTP_PORT", "2587": "MAILSPOOL_SUBMISSION_PORT", "2465": "MAILSPOOL_SMTPS_PORT"}
PORTS |= {"8000": "MAILSPOOL_WEB_PORT", "5300": "", "2626": ""}


def walk() -> dict[str, list[str]]:
    """The walk's blocks of commands, by the bold or italic words that begin the paragraph before each."""
    text = (PROJECT / "README.md").read_text()
    section = text.split("## A walk in ten minutes", 1)[1].split("\n## ", 1)[0]
    blocks: dict[str, list[str]] = {}
    title = ""
    for paragraph in re.split(r"\n\n", section):
        if paragraph.startswith("    "):
            blocks.setdefault(title, []).append(re.sub(r"(?m)^    ", "", paragraph))
        elif found := re.match(r"\*+([^*:.]+)", paragraph.strip()):
            title = found[1]
    return blocks


@dataclass
class Walker:
    """Someone with four terminals in the project's folder."""

    folder: Path
    ports: dict[str, str]
    env: dict[str, str]
    terminals: dict[str, Daemon]

    def text(self, block: str) -> str:
        """A block with this test's ports in the place of the README's."""
        return re.sub(r"\b(" + "|".join(self.ports) + r")\b", lambda found: self.ports[found[0]], block)

    def open_terminal(self, number: int, block: str) -> Daemon:
        log = self.folder / f"terminal{number}.log"
        terminal = Daemon(f"terminal {number}", ["bash", "-c", self.text(block)], log, env=self.env, cwd=self.folder)
        self.terminals[str(number)] = terminal
        return terminal

    def paste(self, blocks: Sequence[str]) -> str:
        """What the last terminal shows after the blocks of a step."""
        shown = ""
        for block in blocks:
            done = subprocess.run(
                ["bash", "-ec", self.text(block)],
                env=self.env,
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=60,
                stdin=subprocess.DEVNULL,
            )
            shown += done.stdout + done.stderr
            assert done.returncode == 0, f"{block}\n{shown}"
        return shown


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None) -> Iterator[Walker]:
    """Terminals 1 to 3, as the README says, and Mailspool ready."""
    folder = tmp_path_factory.mktemp("walk") / "mailspool"
    shutil.copytree(PROJECT, folder, ignore=LEFT_OUT)
    # The packages are there already: what installs them is `make run`'s own business, and takes the network.
    (folder / ".venv").symlink_to((PROJECT / ".venv").resolve())
    ports = {port: str(free_port()) for port in PORTS}
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    env |= {name: ports[port] for port, name in PORTS.items() if name}
    if durable_postgres is not None:
        env["DATABASE_URL"] = durable_postgres.create_database("walk")
    walker = Walker(folder, ports, env, {})
    blocks = walk()
    try:
        walker.open_terminal(1, blocks["Terminal 1"][0]).start()
        walker.open_terminal(2, blocks["Terminal 2"][0]).start()
        mailspool = walker.open_terminal(3, blocks["Terminal 3"][0])
        mailspool.start(lambda: "Mailspool is ready." in mailspool.log_tail(10_000), 180)
        walker.paste(blocks["Terminal 4"])
        yield walker
    finally:
        for terminal in reversed(walker.terminals.values()):
            terminal.stop(30)
            terminal.kill()


def test_the_walk_has_all_its_steps() -> None:
    assert list(walk()) == [
        "",
        "Terminal 1",
        "Terminal 2",
        "Terminal 3",
        "Terminal 4",
        "To a local user",
        "To another server",
        "To a dead host",
        "To a server that refuses",
    ]


def test_mail_to_a_local_user_is_in_the_maildir_a_moment_later(walker: Walker) -> None:
    maildir = walker.folder / "var/maildirs/example.org/ann/new"
    (send, *_) = walk()["To a local user"][0].splitlines()

    walker.paste([send])
    began = time.monotonic()
    wait_until(lambda: maildir.is_dir() and list(maildir.iterdir()), "the message is in the Maildir", 10)

    assert time.monotonic() - began < 3, "nobody was woken: it came by the sweep"
    assert "Subject: hello" in walker.paste(walk()["To a local user"])


def test_mail_to_another_server_arrives_there_and_is_remembered(walker: Walker) -> None:
    shown = walker.paste(walk()["To another server"])

    assert "someone@takes.test delivered" in shown
    assert "mx.takes.test" in shown
    # It counts on one line, over and over.
    assert walker.terminals["2"].log_tail().split()[-1] == "mesg=1", repr(walker.terminals["2"].log_tail())


def test_mail_to_a_dead_host_waits_with_its_reason_and_its_real_next_attempt(walker: Walker) -> None:
    shown = walker.paste(walk()["To a dead host"])

    assert "Waiting to Deliver" in shown
    found = re.search(r"Next Attempt: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", shown)
    assert found is not None
    wait = datetime.fromisoformat(f"{found[1]}+00:00") - datetime.now(UTC)
    # The first of the retry intervals is 15 minutes.
    assert timedelta(minutes=14) < wait <= timedelta(minutes=15)
    assert re.search(r"Last error: .*mx\.dead\.test", shown), shown


def test_mail_that_is_refused_comes_back_as_a_notification(walker: Walker) -> None:
    shown = walker.paste(walk()["To a server that refuses"])

    assert "multipart/report" in shown
    assert re.search(r"Final-Recipient: rfc822; ?nobody@refuses\.test", shown)
    assert "550 5.1.1 no such user here" in shown
