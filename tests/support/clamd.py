"""A real clamd, whose signatures are two: the EICAR test file, and a word that only tests write."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.ports import free_port

# The test file that scanners agree on (eicar.org). Kept in two pieces: as a whole it would alarm scanners of this file.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURE = "Spool.Eicar-Test.UNOFFICIAL"

_CONFIG = """
DatabaseDirectory {folder}/signatures
LocalSocket {folder}/clamd.sock
LocalSocketMode 666
TCPSocket {port}
TCPAddr 127.0.0.1
Foreground yes
LogFile {folder}/clamd.log
User {user}
ScanMail yes
StreamMaxLength {stream_mb}M
MaxScanSize 100M
MaxFileSize 100M
MaxRecursion 17
MaxFiles 10000
AlertExceedsMax {exceeds}
SelfCheck 0
MaxThreads 10
"""


class Clamd:
    """One instance in a folder of its own, on a TCP port and a socket."""

    def __init__(self, *, stream_mb: int = 60, exceeds: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-clamd-"))
        self.folder.chmod(0o777)
        self.port = free_port()
        self.socket = self.folder / "clamd.sock"
        self._stream_mb, self._exceeds = stream_mb, exceeds
        self.daemon = Daemon("clamd", [binary(), "-c", self.folder / "clamd.conf"], self.folder / "output.log")

    @property
    def address(self) -> str:
        """As the setting takes it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        signatures = self.folder / "signatures"
        signatures.mkdir(exist_ok=True)
        signatures.chmod(0o755)
        (signatures / "tests.ndb").write_text(f"Spool.Eicar-Test:0:*:{EICAR.hex()}\n")
        user = "clamav" if os.geteuid() == 0 else os.environ.get("USER", "")
        config = _CONFIG.format(
            folder=self.folder,
            port=self.port,
            user=user,
            stream_mb=self._stream_mb,
            exceeds="yes" if self._exceeds else "no",
        )
        (self.folder / "clamd.conf").write_text(config)
        self.daemon.start(self._answers)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as probe:
                probe.sendall(b"zPING\0")
                return probe.recv(100) == b"PONG\0"
        except OSError:
            return False

    def stop(self) -> None:
        self.daemon.stop(10)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def binary() -> str:
    return shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "clamd"
