"""A new Debian in a folder, as debootstrap makes it, from the mirror that this machine's apt uses."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "DEBIAN_FRONTEND": "noninteractive",
    "LANG": "C.UTF-8",
}
# What answers 101 here is asked before a package starts a service.
_POLICY = "#!/bin/sh\nexit 101\n"


class Chroot:
    """One Debian, without systemd running in it."""

    def __init__(self, root: Path, release: str) -> None:
        self.root = root
        self.release = release

    def make(self) -> None:
        subprocess.run(
            ["debootstrap", "--variant=minbase", self.release, self.root, _mirror()],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=600,
        )
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text(_POLICY)
        policy.chmod(0o755)
        # Whoever reads a page of commands presses Y.
        self.path("/etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')
        self.run("apt-get update -qq")

    def run(self, script: str, *, status: int = 0, seconds: float = 600) -> str:
        """A script of root's in there; returns what it said, both ways out."""
        # Mounted for it alone, and gone with it.
        shared = 'mkdir -p "$0/dev/shm"; mount -t tmpfs shm "$0/dev/shm"'
        mounts = f'mount -t proc proc "$0/proc"; {shared}; exec chroot "$0" "$@"'
        done = subprocess.run(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "--",
                "sh",
                "-ec",
                mounts,
                self.root,
                "env",
                "-i",
                *(f"{name}={value}" for name, value in _ENVIRONMENT.items()),
                "sh",
                "-ec",
                script,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == status, f"{script}\n{done.stdout}"
        return done.stdout

    def path(self, absolute: str) -> Path:
        """Where something of it is, seen from outside."""
        return self.root / absolute.lstrip("/")

    def uid(self, name: str) -> int:
        return int(self.run(f"id -u {name}"))

    def take(self, file: Path) -> str:
        """A copy of a file in its /root; its path in there."""
        shutil.copy(file, self.path("/root"))
        return f"/root/{file.name}"


def _mirror() -> str:
    """Of Debian itself, without its security updates: from /etc/apt, in either of its two formats."""
    texts = [path.read_text() for path in Path("/etc/apt").rglob("*") if path.suffix in {".list", ".sources"}]
    found = re.findall(r"(?m)^(?:URIs:|deb)\s+(?:\[[^]]*\]\s*)?(https?://\S+/debian/?)(?=\s|$)", "\n".join(texts))
    return found[0] if found else "http://deb.debian.org/debian"
