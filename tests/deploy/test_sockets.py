"""The socket units that an administrator may put beside the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from spool.sockets.listeners import EVERY
from tests.deploy.units import DEPLOY, UNITS, load

SOCKETS = DEPLOY / "sockets"


def test_each_listener_has_one_with_its_name_for_a_service_that_there_is() -> None:
    for listener in EVERY:
        unit = load(f"mailspool-{listener.name}.socket", SOCKETS)
        assert unit.get("Socket", "FileDescriptorName") == listener.name
        service = load(unit.get("Socket", "Service"))
        assert service.get("Service", "Type") == "notify"
        # It would be closed, and clients refused, whenever the target is restarted.
        assert not unit.all("Unit", "PartOf")


def test_systemd_finds_nothing_to_say_about_them(tmp_path: Path) -> None:
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    shutil.copytree(SOCKETS, tmp_path, dirs_exist_ok=True)
    for unit in tmp_path.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/mailspool/.venv/bin/python", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(path.name for path in SOCKETS.glob("*.socket"))],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert done.stdout + done.stderr == ""
