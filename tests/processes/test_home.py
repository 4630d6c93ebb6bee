"""The home as programs find it: open to others, of somebody else, read-only, full."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mailspool import modes
from mailspool.home import Home
from tests.support import tables
from tests.support.redis import RedisServer

pytestmark = pytest.mark.sqlite
PROJECT = Path(__file__).resolve().parents[2]
# What a system administrator's shell usually has.
OPEN_UMASK = 0o022


def run(home: Path, *arguments: str, wrap: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Python with the arguments, in an environment with the home alone."""
    return subprocess.run(
        [*wrap, sys.executable, *arguments],
        cwd=PROJECT,
        env={"MAILSPOOL_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: os.umask(OPEN_UMASK),
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "mailspool-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True, timeout=20).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=20)


def open_files(folder: Path) -> list[Path]:
    """What below the folder, and of it, others may touch."""
    return [
        path
        for path in [folder, *folder.rglob("*")]
        if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & modes.OF_OTHERS
    ]


@pytest.mark.long
def test_what_was_open_to_others_is_closed_at_the_start_and_that_is_said(tmp_path: Path, redis: RedisServer) -> None:
    home = Home(tmp_path / "home")
    home.create()
    for folder in (home.root, home.maildirs):
        folder.chmod(0o755)
    home.secret_key()
    (home.keys / "secret_key").chmod(0o644)
    tables.make_in_file(home.database, lambda: run(home.root, "manage.py", "migrate", "--verbosity", "0"))

    prepared = run(home.root, "-m", "mailspool.prepare", REDIS_URL=redis.url)

    assert prepared.returncode == 0, prepared.stderr
    assert f"{home.root} was open to others (mode 0755): closed, now 0700." in prepared.stderr
    assert f"{home.keys}/secret_key was open to others (mode 0644): closed, now 0600." in prepared.stderr
    assert not open_files(home.root)


@pytest.mark.long
def test_what_a_program_makes_is_for_its_owner_whatever_the_umask_was(tmp_path: Path, redis: RedisServer) -> None:
    home = tmp_path / "home"

    run(home, "-m", "mailspool.prepare", REDIS_URL=redis.url)
    run(home, "manage.py", "settings", "list")

    assert (home / "mailspool.sqlite3").exists()
    assert not open_files(home)


def test_modes_are_mended_by_every_program(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    home.root.chmod(0o750)

    # It ends for want of a command line of its own that it understands, after it has looked at the home.
    started = run(home.root, "manage.py", "smtpd", "--no-such-option")

    assert "was open to others (mode 0750): closed" in started.stderr
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_a_home_of_somebody_else_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    wrap: list[str] = []
    if os.geteuid() == 0:
        # root without what makes it root: the right to open what is another's.
        os.chown(folder, 65534, 65534)
        wrap = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"]
    else:
        folder.chmod(0)

    for program in (("manage.py", "spool", "list"), ("-m", "mailspool.prepare"), ("-m", "mailspool.processes")):
        ended = run(folder / "home", *program, wrap=wrap)

        assert ended.returncode == 1
        assert "Permission denied. Run as the owner of the home, or set MAILSPOOL_HOME" in ended.stderr
        assert "Traceback" not in ended.stderr
    folder.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could fill another's home")
@pytest.mark.long
def test_root_does_not_fill_the_home_of_another_user(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create()
    for path in (home.root, *home.root.iterdir()):
        os.chown(path, 65534, -1)

    for program in (
        ("manage.py", "smtpd", "--skip-checks"),
        ("-m", "mailspool.prepare"),
        ("-m", "mailspool.processes"),
    ):
        ended = run(home.root, *program)

        assert ended.returncode == 1
        assert "belongs to nobody, and this is root" in ended.stderr and "Run it as nobody." in ended.stderr


def test_a_read_only_home_is_a_sentence(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=20)

    ended = run(small_disk / "home", "manage.py", "spool", "list")

    assert ended.returncode == 1
    assert "Read-only file system. Mount it for writing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_full_disk_is_a_sentence_and_no_secret_is_half_written(small_disk: Path) -> None:
    home = Home(small_disk / "home")
    home.create()
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        for size in (65_536, 512, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                continue

    ended = run(home.root, "manage.py", "spool", "list")

    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr and "free some space" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(home.keys.iterdir())


def test_a_command_without_its_database_ends_with_a_sentence(tmp_path: Path) -> None:
    ended = run(tmp_path, "manage.py", "spool", "list", DATABASE_URL="postgres://mailspool:hunter2@127.0.0.1:1/mail")

    assert ended.returncode == 1
    assert "The database can't be used" in ended.stderr and "DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr and "hunter2" not in ended.stderr
