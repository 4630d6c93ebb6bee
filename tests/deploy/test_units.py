"""The units start, as they stand, with the environment that is shipped, and mail goes through.

One run on PostgreSQL: that is what units are for. See tests.deploy.sandbox for what is kept of a unit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.installation import DEAD_DOMAIN, Installation
from tests.deploy.network import own_network
from tests.deploy.sandbox import like_this_machine
from tests.deploy.units import DEPLOY, UNITS, load, services
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

# Nobody's on Debian: beyond what adduser gives, below what systemd takes for itself.
UID = 59_999
PREPARE = "mailspool-prepare.service"
_WRITE_INTO = """
import pathlib
for folder in {}:
    try:
        pathlib.Path(folder, "mark").write_text("x")
        print(folder)
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[Installation]:
    """Every program, started by its unit and ready; the environment is the example's."""
    assert durable_postgres is not None
    if os.geteuid() != 0:
        pytest.skip("another user, a file system and a network of one's own need root")
    folder = tmp_path_factory.mktemp("units")
    machine = like_this_machine(folder / "root", UID, "/opt/mailspool")
    (folder / "root/srv/mailspool").mkdir(parents=True)
    (folder / "root/srv/elsewhere").mkdir()
    (folder / "root/var/log/mailspool").mkdir(parents=True)
    for name in ("srv/mailspool", "srv/elsewhere", "var/log/mailspool"):
        os.chown(folder / "root" / name, UID, UID)
    with own_network():
        home = folder / "home"
        home.mkdir(mode=0o700)
        os.chown(home, UID, UID)
        machine.bind(home, "/var/lib/mailspool", writable=True)
        machine.bind(DEPLOY / "environment.example", "/etc/mailspool/environment")
        installation = Installation(machine, folder, home=home, environment=DEPLOY / "environment.example")
        try:
            installation.with_postgres(durable_postgres)
            installation.with_redis(folder / "redis")
            installation.run(PREPARE)
            installation.start(*(name for name in services() if name != PREPARE))
            installation.fill()
            installation.wait_until_ready()
            yield installation
        finally:
            installation.close()


@pytest.mark.postgresql
def test_every_unit_starts_and_mail_goes_in_and_out(installation: Installation) -> None:
    installation.send_in("unit-in")
    installation.send_out("unit-out")

    installation.wait_for_both("unit-in", "unit-out")


@pytest.mark.postgresql
def test_the_command_has_the_environment_and_the_user_of_the_services(installation: Installation) -> None:
    said = installation.as_root("/opt/mailspool/deploy/mailspool", "account", "domain", "add", "example.com")

    assert "example.com" in said + installation.manage("account", "domain", "list")
    owners = {path.stat().st_uid for path in installation.home.rglob("*")}
    assert owners == {UID}


@pytest.mark.postgresql
def test_what_the_programs_write_is_only_for_their_user(installation: Installation) -> None:
    found = [path for path in installation.home.rglob("*") if not path.is_symlink() and not path.is_socket()]

    assert found
    assert {path.stat().st_uid for path in found} == {UID}
    assert [str(path) for path in found if path.stat().st_mode & 0o077] == []


@pytest.mark.postgresql
def test_a_program_can_write_into_the_home_and_the_folder_for_moved_mail_and_nowhere_else(
    installation: Installation,
) -> None:
    said = installation.python(
        "-c",
        _WRITE_INTO.format(
            ["/var/lib/mailspool", "/var/log/mailspool", "/srv/mailspool", "/tmp", "/srv", "/opt/mailspool", "/etc"]
        ),
    )

    assert said.split() == ["/var/lib/mailspool", "/var/log/mailspool", "/srv/mailspool", "/tmp"]


@pytest.mark.postgresql
def test_mail_is_moved_to_a_folder_that_the_units_know_and_refused_with_its_name_to_another(
    installation: Installation,
) -> None:
    installation.send_out("stays", f"someone@{DEAD_DOMAIN}")
    wait_until(lambda: installation.waiting() == 1, "it waits for its next attempt")

    said = installation.manage("spool", "move", "--all", "--yes", "--folder", "/srv/elsewhere", succeeds=False)
    assert "/srv/elsewhere: the services may not write there" in said
    installation.manage("spool", "move", "--all", "--yes", "--folder", "/srv/mailspool/2026")

    assert {path.suffix for path in (installation.machine.root / "srv/mailspool/2026").iterdir()} == {".eml", ".json"}


@pytest.mark.parametrize("name", services())
def test_every_program_is_started_again_however_often_it_ends(name: str) -> None:
    unit = load(name)

    assert unit.get("Unit", "StartLimitIntervalSec") == "0"
    assert unit.get("Service", "Restart") == ("on-failure" if name == PREPARE else "always")
    # What requires a unit is given up when that fails once (systemd.unit(5)).
    assert not unit.all("Unit", "Requires")


@pytest.mark.parametrize("name", services())
def test_every_program_has_no_more_rights_than_it_needs(name: str) -> None:
    unit = load(name)

    assert unit.get("Service", "User") == "mailspool"
    assert unit.get("Service", "UMask") == "0077"
    assert unit.get("Service", "ProtectSystem") == "strict"
    assert unit.get("Service", "NoNewPrivileges") == "yes"
    ambient = unit.words("Service", "AmbientCapabilities")
    assert ambient == (["CAP_NET_BIND_SERVICE"] if "smtpd" in name else [])


def test_systemd_finds_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    # It looks whether there is what ExecStart names, so that is in the copies what runs this.
    for path in sorted(UNITS.iterdir()):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            copy = tmp_path / file.relative_to(UNITS)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(file.read_text().replace("/opt/mailspool/.venv/bin/python", sys.executable))
    names = [*services(), "mailspool.target"]

    def said() -> str:
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *names],
            capture_output=True,
            text=True,
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        )
        return done.stdout + done.stderr

    assert said() == ""
    with (tmp_path / "mailspool-.service.d/common.conf").open("a") as file:
        file.write("NoSuchSetting=yes\n")
    assert "NoSuchSetting" in said(), "it does not look at the drop-in"
