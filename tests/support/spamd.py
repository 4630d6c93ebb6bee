"""A real spamd with SpamAssassin's own rules, and without any network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening

# The test text that spam filters agree on (spamassassin.apache.org/gtube). In two pieces, so that this file is no spam.
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI" + "-UBE-TEST-EMAIL*C.34X"


class Spamd:
    """One instance in a folder of its own; one that `learns` keeps what it is told there, for itself."""

    def __init__(self, *, learns: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-spamd-"))
        self.folder.chmod(0o777)
        self.port = free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.daemon = Daemon(
            "spamd",
            [
                binary(),
                "-L",
                "-x",
                "--max-children=3",
                "--min-children=1",
                "-i",
                "127.0.0.1",
                "-p",
                str(self.port),
                *user,
                "-r",
                str(self.folder / "spamd.pid"),
                "-s",
                "stderr",
                "-H",
                str(self.folder),
                *(["--allow-tell", *self._bayes] if learns else []),
            ],
            self.folder / "spamd.log",
        )

    @property
    def _bayes(self) -> list[str]:
        lines = ("use_bayes 1", "bayes_auto_learn 0", f"bayes_path {self.folder}/bayes")
        return [f"--cf={line}" for line in lines]

    def learned(self) -> tuple[int, int]:
        """How many messages it has learned as spam, and how many as ham."""
        done = subprocess.run(
            [shutil.which("sa-learn") or "sa-learn", *self._bayes, "--dump", "magic"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        counts = {
            line.split("data: ")[1].strip(): int(line.split()[2])
            for line in done.stdout.splitlines()
            if "data: " in line
        }
        return counts["nspam"], counts["nham"]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.daemon.start(lambda: is_listening(self.port), seconds=60)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.daemon.stop(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def binary() -> str:
    return shutil.which("spamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "spamd"
