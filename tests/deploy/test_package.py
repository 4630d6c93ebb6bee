"""The package, in a new Debian of each release that it serves: installed, upgraded, removed, purged; mail between."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailspool import VERSION
from tests.deploy.chroot import Chroot
from tests.deploy.installation import Installation
from tests.deploy.network import own_network
from tests.deploy.sandbox import Machine
from tests.deploy.units import PROJECT, services
from tests.support.postgres import PostgresServer

# By their Pythons, 3.11 and 3.13.
RELEASES = ("bookworm", "trixie")
OLDER = "0.0.1"
HOME = "/var/lib/mailspool"
PREPARE = "mailspool-prepare.service"
# Once for all tests here, and for both databases: they say nothing about those.
pytestmark = [pytest.mark.long, pytest.mark.postgresql]


@dataclass(frozen=True)
class Packages:
    older: Path
    newer: Path


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """What `make deb` makes, and the same under an older version's number."""
    folder = tmp_path_factory.mktemp("dist")
    build = [PROJECT / "deploy/debian/build", sys.executable, folder]
    said = subprocess.run(build, check=True, stdout=subprocess.PIPE, text=True, timeout=1800).stdout
    newer = Path(said.split()[-1])
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-R", newer, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {OLDER}", control.read_text()))
    older = folder / newer.name.replace(VERSION, OLDER)
    # Unpacked by root with its owners; put together quickly.
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--build", tree, older], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return Packages(older, newer)


@pytest.fixture(scope="module", params=RELEASES)
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chroot]:
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    root = tmp_path_factory.mktemp(request.param) / "root"
    chroot = Chroot(root, request.param)
    chroot.make()
    yield chroot
    shutil.rmtree(root)


def test_it_is_installed_upgraded_removed_and_purged_and_mail_goes_through(
    debian: Chroot, packages: Packages, tmp_path: Path, durable_postgres: PostgresServer
) -> None:
    older, newer = debian.take(packages.older), debian.take(packages.newer)

    said = debian.run(f"apt-get install -y -qq --no-install-recommends {older}")
    assert "systemctl enable --now mailspool.target" in said
    assert "Warning" not in said
    assert debian.run("mailspool --version").strip() == f"Mailspool {VERSION}"
    assert debian.run("dpkg --verify mailspool") == ""
    _what_is_there(debian)

    environment = debian.path("/etc/mailspool/environment")
    edited = environment.read_text().replace("mail.example.org", "mx.example.com")
    environment.write_text(edited)
    with own_network(), _installation(debian, tmp_path, durable_postgres) as installation:
        _start(installation)
        installation.fill()
        installation.wait_until_ready()
        installation.send_in("before-in")
        installation.send_out("before-out")
        installation.wait_for_both("before-in", "before-out")
        assert set(installation.stop().values()) <= {0, -15}

        debian.run(f"dpkg -i {newer}")
        assert debian.run("dpkg-query -W -f '${Version}' mailspool") == VERSION
        assert environment.read_text() == edited
        assert _mode(environment) == 0o640
        _start(installation)
        installation.wait_until_ready()
        installation.send_in("after-in")
        installation.send_out("after-out")
        installation.wait_for_both("after-in", "after-out")
        installation.stop()

    said = debian.run("dpkg --remove mailspool")
    assert "not empty so not removed" not in said
    assert not debian.path("/usr/lib/mailspool").exists()
    assert environment.read_text() == edited
    said = debian.run("dpkg --purge mailspool")
    assert f"mail, keys and settings are still in {HOME}" in said
    assert not debian.path("/etc/mailspool").exists()
    assert list(debian.path(f"{HOME}/maildirs").rglob("new/*"))


def test_purging_one_that_has_no_mail_leaves_nothing(debian: Chroot, packages: Packages) -> None:
    newer = debian.take(packages.newer)
    shutil.rmtree(debian.path(HOME), ignore_errors=True)
    debian.run(f"apt-get install -y -qq --no-install-recommends {newer}")

    said = debian.run("dpkg --purge mailspool")

    assert "still in" not in said
    left = debian.run("find / -xdev -name '*mailspool*' -not -path '/root/*' -not -path '/proc/*'")
    assert left.strip() == ""


def _what_is_there(debian: Chroot) -> None:
    """What belongs to whom, and what an administrator is helped by."""
    uid = debian.uid("mailspool")
    home = debian.path(HOME)
    assert (home.stat().st_uid, _mode(home)) == (uid, 0o700)
    environment = debian.path("/etc/mailspool/environment")
    assert (environment.stat().st_uid, _mode(environment)) == (0, 0o640)
    assert debian.run("stat -c %G /etc/mailspool/environment").strip() == "mailspool"
    assert "nologin" in debian.run("getent passwd mailspool")
    page = gzip.decompress(debian.path("/usr/share/man/man8/mailspool.8.gz").read_bytes()).decode()
    assert "spool doctor" in page
    completion = "/usr/share/bash-completion/completions/mailspool"
    words = f"source {completion}; COMP_WORDS=(mailspool spool und); COMP_CWORD=2; _shtab_mailspool; echo $COMPREPLY"
    assert debian.run(f"bash -c '{words}'").strip() == "undo"
    # A program that may not write there would compile everything at each start.
    assert list(debian.path("/usr/lib/mailspool/spool/__pycache__").iterdir())
    assert not debian.path("/etc/systemd/system/multi-user.target.wants/mailspool.target").is_symlink()


def _installation(debian: Chroot, folder: Path, postgres: PostgresServer) -> Installation:
    uid = debian.uid("mailspool")
    machine = Machine(debian.root, uid)
    installation = Installation(
        machine,
        folder,
        home=debian.path(HOME),
        environment=debian.path("/etc/mailspool/environment"),
        units=debian.path("/usr/lib/systemd/system"),
    )
    installation.with_postgres(postgres)
    installation.with_redis(folder / "redis")
    return installation


def _start(installation: Installation) -> None:
    installation.run(PREPARE)
    installation.start(*(name for name in services(installation.units) if name != PREPARE))


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
