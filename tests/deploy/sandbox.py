"""Starts what a unit's ExecStart says, in the surroundings that the unit asks for, as far as that goes without systemd.

Kept: Environment, EnvironmentFile, User, WorkingDirectory, UMask, capabilities, NoNewPrivileges, StateDirectory,
LogsDirectory, PrivateTmp, PrivateDevices, ProtectHome, ProtectSystem=strict with its ReadWritePaths. Not kept:
LimitNOFILE, the filters of system calls, namespaces and address families, and the rest of Protect… .
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.units import PROJECT, Unit, environment_of
from tests.support.daemon import Daemon

# The program without its tests: what a package has of it.
PROGRAM = (
    "accounts",
    "base",
    "mailspool",
    "quarantine",
    "security",
    "spool",
    "throttling",
    "manage.py",
    "deploy/mailspool",
)
# As systemd gives it to services (systemd.exec(5)).
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass
class Machine:
    """A root file system, and what is put into it: its user `mailspool` has the number `uid`.

    `binds` are (path outside, path inside, whether it may be written to where the unit lets it).
    """

    root: Path
    uid: int
    binds: list[tuple[Path, str, bool]] = field(default_factory=list)
    # The user's other groups: systemd gives them too.
    groups: Sequence[int] = ()

    def bind(self, outside: Path, inside: str, *, writable: bool = False) -> None:
        """Let what is at `outside` be seen at `inside`."""
        target = self.root / inside.lstrip("/")
        if outside.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        self.binds.append((outside, inside, writable))

    def daemon(
        self, unit: Unit, log: Path, environment: Path, *, command: Sequence[str] = (), as_root: bool = False
    ) -> Daemon:
        """The unit as a process; `environment` is its EnvironmentFile, `command` runs in the place of its ExecStart.

        `as_root` is for a command that root gives at a shell: it sees what the unit sees, and has nothing of it else.
        """
        full = {"PATH": SYSTEM_PATH} if as_root else {**_from_systemd(unit), **environment_of(environment)}
        folder = "/" if as_root else unit.get("Service", "WorkingDirectory", "/")
        inside = ["env", "-i", f"--chdir={folder}", *(f"{name}={value}" for name, value in full.items())]
        inside += command or unit.command
        script = "\n".join(
            [
                "set -eu",
                *self._mounts(unit),
                f"umask {'0022' if as_root else unit.get('Service', 'UMask', '0022')}",
                shlex.join(["exec", "chroot", str(self.root), *([] if as_root else self._privileges(unit)), *inside]),
            ]
        )
        return Daemon(unit.name, ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script], log)

    def _mounts(self, unit: Unit) -> list[str]:
        """Lines of shell that lay out what the unit sees."""
        strict = unit.get("Service", "ProtectSystem") == "strict"
        writable = [*_directories(unit), *(path.lstrip("-") for path in unit.words("Service", "ReadWritePaths"))]
        root = self.root
        lines = [f"mount --bind {_q(root)} {_q(root)}"]
        # One above may hide one below.
        for outside, inside, may_write in sorted(self.binds, key=lambda bind: bind[1]):
            lines.append(f"mount --bind {_q(outside)} {_q(root)}{shlex.quote(inside)}")
            if strict and not (may_write and inside in writable):
                lines.append(f"mount -o remount,bind,ro {_q(root)}{shlex.quote(inside)}")
        for path in writable:
            here = root / path.lstrip("/")
            if here.is_dir() and not any(inside == path for _, inside, _ in self.binds):
                lines.append(f"mount --bind {_q(here)} {_q(here)}")
        if strict:
            lines.append(f"mount -o remount,bind,ro {_q(root)}")
        lines.append(f"mount -t proc proc {_q(root / 'proc')}")
        if unit.get("Service", "PrivateTmp") == "yes":
            lines += [f"mount -t tmpfs -o mode=1777 tmpfs {_q(root / path)}" for path in ("tmp", "var/tmp")]
        if unit.get("Service", "ProtectHome") == "yes":
            lines.append(f"mount -t tmpfs -o mode=755,ro tmpfs {_q(root / 'home')}")
        dev = root / "dev"
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {_q(dev)}; mkdir -m 1777 {_q(dev / 'shm')}")
        lines += [f"touch {_q(dev / name)}; mount --bind /dev/{name} {_q(dev / name)}" for name in _DEVICES]
        return lines

    def _privileges(self, unit: Unit) -> list[str]:
        groups = f"--groups={','.join(map(str, self.groups))}" if self.groups else "--clear-groups"
        words = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", groups, "--pdeathsig", "KILL"]
        ambient = ",".join(f"+{_capability(name)}" for name in unit.words("Service", "AmbientCapabilities"))
        bounding = ",".join(f"+{_capability(name)}" for name in unit.words("Service", "CapabilityBoundingSet"))
        words += [f"--inh-caps=-all{',' + ambient if ambient else ''}"]
        words += [f"--ambient-caps=-all{',' + ambient if ambient else ''}"]
        words += [f"--bounding-set=-all{',' + bounding if bounding else ''}"]
        if unit.get("Service", "NoNewPrivileges") == "yes":
            words.append("--no-new-privs")
        return words


def like_this_machine(root: Path, uid: int, place: str) -> Machine:
    """This machine's programs, the project's at `place`, and nothing of anybody's home."""
    for name in ("usr", "etc", "dev", "proc", "sys", "home", "tmp", "var/tmp", "var/lib/mailspool", "run", "root"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path(f"/{name}").is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    machine = Machine(root, uid)
    # Python itself may be where an ordinary user can't look, as below /root.
    places = {Path("/usr"), Path("/etc/ssl"), Path(sys.base_prefix)}
    for path in sorted(places):
        if path == Path("/usr") or not path.is_relative_to("/usr"):
            machine.bind(path, str(path))
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "mime.types", "services", "localtime"):
        if Path(f"/etc/{name}").exists():
            machine.bind(Path(f"/etc/{name}"), f"/etc/{name}")
    (root / "etc/passwd").write_text(
        f"root:x:0:0:root:/root:/bin/sh\nmailspool:x:{uid}:{uid}::/var/lib/mailspool:/usr/sbin/nologin\n"
    )
    (root / "etc/group").write_text(f"root:x:0:\nmailspool:x:{uid}:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for name in PROGRAM:
        machine.bind(PROJECT / name, f"{place}/{name}")
    machine.bind(Path(sys.prefix).resolve(), f"{place}/.venv")
    return machine


def _from_systemd(unit: Unit) -> dict[str, str]:
    """What systemd puts into every service's environment, and the unit's own Environment."""
    user = unit.get("Service", "User")
    state = _directories(unit)[0]
    found = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "USER": user, "LOGNAME": user, "HOME": state}
    found |= {"SHELL": "/usr/sbin/nologin", "STATE_DIRECTORY": state, "INVOCATION_ID": "0" * 32}
    for value in unit.all("Service", "Environment"):
        found |= dict(word.split("=", 1) for word in shlex.split(value))
    return found


def _directories(unit: Unit) -> list[str]:
    """What systemd makes for a service."""
    of = {"/var/lib": "StateDirectory", "/var/log": "LogsDirectory"}
    return [f"{parent}/{name}" for parent, key in of.items() for name in unit.words("Service", key)]


def _capability(name: str) -> str:
    return name.removeprefix("CAP_").lower()


def _q(path: Path) -> str:
    return shlex.quote(os.fspath(path))
