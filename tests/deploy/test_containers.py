"""The compose file starts the programs of the units, and each runs with what it says: without an engine.

The image is the package (test_package.py starts its programs), and what the file gives a container is given as units'
settings would be.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailspool.environment import listeners, reader
from tests.deploy.installation import Installation
from tests.deploy.network import own_network
from tests.deploy.sandbox import like_this_machine
from tests.deploy.units import DEPLOY, load, services
from tests.support.postgres import PostgresServer

FOLDER = DEPLOY / "container"
# Where the package has the program.
PLACE = "/usr/lib/mailspool"
# Where the test has it, whose /usr is this machine's.
_HERE = "/opt/mailspool"
UID = 59_998
CHOSEN = {
    "MAILSPOOL_HOSTNAME": "mail.example.org",
    "DATABASE_PASSWORD": "for-the-database",
    "REDIS_PASSWORD": "for-redis",
}


def programs() -> dict[str, dict[str, Any]]:
    """The services that are Mailspool's, by the names of their units."""
    found = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    return {name: service for name, service in found.items() if service.get("image") == "mailspool"}


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What the engine makes of it with the file .env that its head asks for."""
    return {name: re.sub(r"\$\{(\w+)[^}]*\}", _chosen, value) for name, value in service["environment"].items()}


def _chosen(found: re.Match[str]) -> str:
    default = re.search(r":-([^}]*)", found[0])
    return CHOSEN.get(found[1]) or (default[1] if default else "")


def test_every_unit_has_its_container_with_the_same_command() -> None:
    units = {re.sub(r"^mailspool-(\w+)(@1)?\.service$", r"\1", name): load(name) for name in services()}

    commands = {name: service["command"] for name, service in programs().items()}

    assert commands == {
        name: [word.replace("/opt/mailspool", PLACE) for word in unit.command] for name, unit in units.items()
    }
    assert f"\nWORKDIR {PLACE}\n" in (FOLDER / "Containerfile").read_text()
    assert "\nUSER mailspool\n" in (FOLDER / "Containerfile").read_text()


@pytest.mark.parametrize("name", programs())
def test_the_environment_of_each_is_understood(name: str) -> None:
    env = reader.read(environment(programs()[name]))

    assert listeners.addresses_of(env)["smtp"][0].port == 25


def test_each_waits_for_the_preparation_which_waits_for_the_database() -> None:
    for name, service in programs().items():
        wanted = {"postgres": "service_healthy", "valkey": "service_started"}
        if name != "prepare":
            wanted = {"prepare": "service_completed_successfully"}
        assert {other: how["condition"] for other, how in service["depends_on"].items()} == wanted


@pytest.fixture
def installation(tmp_path: Path, durable_postgres: PostgresServer | None) -> Iterator[Installation]:
    """Each program as its container would run it, but for the database's address: by its socket."""
    assert durable_postgres is not None
    if os.geteuid() != 0:
        pytest.skip("another user, a file system and a network of one's own need root")
    machine = like_this_machine(tmp_path / "root", UID, _HERE)
    (tmp_path / "root/etc/hosts").write_text("127.0.0.1 localhost valkey\n::1 localhost\n")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, UID, UID)
    machine.bind(home, "/var/lib/mailspool", writable=True)
    units = tmp_path / "units"
    units.mkdir()
    for name, service in programs().items():
        (units / f"mailspool-{name}.service").write_text(_as_unit(service))
    values = environment(programs()["web"]) | {"DATABASE_URL": "postgres://mailspool@/mailspool?host=/run/postgresql"}
    (tmp_path / "environment").write_text("".join(f'{name}="{value}"\n' for name, value in values.items()))
    with own_network():
        # A sysctl of the network that the engine makes for the container.
        for setting, value in programs()["smtpd"]["sysctls"].items():
            Path("/proc/sys", setting.replace(".", "/")).write_text(value)
        with Installation(machine, tmp_path, home=home, environment=tmp_path / "environment", units=units) as made:
            made.with_postgres(durable_postgres)
            made.with_redis(tmp_path / "redis", CHOSEN["REDIS_PASSWORD"])
            yield made


def _as_unit(service: dict[str, Any]) -> str:
    """What the compose file and the Containerfile say, in systemd's words."""
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]
    command = shlex.join(service["command"]).replace(PLACE, _HERE)
    return (
        f"[Service]\nExecStart={command}\nWorkingDirectory={_HERE}\nUser=mailspool\n"
        "StateDirectory=mailspool\nProtectSystem=strict\nPrivateTmp=yes\nNoNewPrivileges=yes\n"
    )


@pytest.mark.postgresql
def test_every_container_program_starts_and_mail_goes_in_and_out(installation: Installation) -> None:
    installation.run("mailspool-prepare.service")
    installation.start(*(f"mailspool-{name}.service" for name in programs() if name != "prepare"))
    installation.fill()
    installation.wait_until_ready()

    installation.send_in("container-in")
    installation.send_out("container-out")

    installation.wait_for_both("container-in", "container-out")
