"""docs/installing.md, word by word, in a new Debian 12: the way of the checkout.

What is not as on a server: nothing listens to systemctl there, so its words are noted, and the test starts what they
would start; nobody edits the environment, so the host has the example's name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.chroot import Chroot
from tests.deploy.installation import Installation
from tests.deploy.network import own_network
from tests.deploy.sandbox import Machine
from tests.deploy.units import PROJECT, services
from tests.support.daemon import Daemon

pytestmark = [pytest.mark.long, pytest.mark.postgresql]
PREPARE = "mailspool-prepare.service"
SYSTEMCTL = '#!/bin/sh\necho "$*" >>/root/systemctl\n'


def blocks(title: str) -> list[str]:
    """The blocks of commands below a heading."""
    page = (PROJECT / "docs/installing.md").read_text()
    section = re.split(r"(?m)^## ", page.split(f"\n## {title}\n", 1)[1])[0]
    found = re.findall(r"(?m)(?:^(?: {4}.*)?\n)+", section)
    return [re.sub(r"(?m)^ {4}", "", block).strip() + "\n" for block in found if block.strip()]


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chroot]:
    if os.geteuid() != 0:
        pytest.skip("a chroot needs root")
    root = tmp_path_factory.mktemp("page") / "root"
    chroot = Chroot(root, "bookworm")
    chroot.make()
    chroot.path("/usr/local/bin/systemctl").write_text(SYSTEMCTL)
    chroot.path("/usr/local/bin/systemctl").chmod(0o755)
    # How this machine reaches PyPI, which is its own business.
    if (authorities := os.environ.get("PIP_CERT")) and Path(authorities).exists():
        shutil.copy(authorities, chroot.path("/root/authorities.pem"))
        chroot.path("/etc/pip.conf").write_text("[global]\ncert = /root/authorities.pem\ntimeout = 180\n")
    yield chroot
    shutil.rmtree(root)


def test_the_commands_of_the_page_install_a_mailspool_that_takes_and_sends_mail(debian: Chroot, tmp_path: Path) -> None:
    (program,) = blocks("1. The program: a checkout")
    database, redis = blocks("2. Database and Redis")
    (_,) = blocks("3. The environment")
    services_, accounts, first_steps = blocks("4. The services")
    # The project as it stands here, in the place of the one in the Internet.
    _commit(debian.path("/root/mailspool"))
    debian.run(program.replace("git clone URL", "git clone -q /root/mailspool"), seconds=1800)

    with own_network():
        debian.run("pg_ctlcluster 15 main start")
        redis_server = Daemon(
            "redis",
            [
                "chroot",
                debian.root,
                "setpriv",
                "--reuid=redis",
                "--regid=redis",
                "--clear-groups",
                "redis-server",
                "/etc/redis/redis.conf",
                "--daemonize",
                "no",
                "--supervised",
                "no",
            ],
            tmp_path / "redis.log",
        )
        try:
            debian.run(database)
            debian.run(redis)
            # Its unit makes the folder (RuntimeDirectory).
            debian.run("install -d -m 2755 -o redis -g redis /run/redis")
            redis_server.start(debian.path("/run/redis/redis-server.sock").is_socket)
            _run_services(debian, services_, accounts, first_steps, tmp_path)
        finally:
            redis_server.kill()
            debian.run("pg_ctlcluster 15 main stop -m immediate")
    said = debian.path("/root/systemctl").read_text().splitlines()
    assert said == ["restart redis-server", "daemon-reload", "enable --now mailspool.target"]


def _run_services(debian: Chroot, services_: str, accounts: str, first_steps: str, folder: Path) -> None:
    """From "The services" on; systemd's part is played by Installation."""
    home = debian.path("/var/lib/mailspool")
    home.mkdir(mode=0o700)
    uid = debian.uid("mailspool")
    os.chown(home, uid, uid)
    groups = [int(number) for number in debian.run("id -G mailspool").split()]
    machine = Machine(debian.root, uid, groups=groups)
    installation = Installation(
        machine,
        folder,
        home=home,
        environment=debian.path("/etc/mailspool/environment"),
        units=debian.path("/etc/systemd/system"),
    )
    with installation:
        reload, enable, check, password, ready = services_.splitlines()
        debian.run(f"{reload}\n{enable}")
        installation.run(PREPARE)
        installation.start(*(name for name in services(installation.units) if name != PREPARE))
        installation.wait_until_ready()
        # The host's name is an example's, and its certificate nobody's: check warns of both.
        assert "\n0 faults and 2 warnings." in debian.run(check)
        assert "admin@" in debian.run(password)
        # curl is not in every Debian.
        assert "curl -s http://127.0.0.1:8000/readyz" in ready
        assert "example.org" in debian.run(accounts)
        # It ends with 1: no user is there yet.
        assert "certificate" in debian.run(f"! {first_steps}").lower()
        installation.fill()
        installation.send_in("page-in")
        installation.send_out("page-out")
        installation.wait_for_both("page-in", "page-out")


def _commit(folder: Path) -> None:
    """A repository with what stands in the project's folder, uncommitted work too."""
    names = (
        subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT,
            check=True,
            capture_output=True,
        )
        .stdout.decode()
        .split("\0")
    )
    for name in filter(None, names):
        if (PROJECT / name).is_file() and not (PROJECT / name).is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "As it stands"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
