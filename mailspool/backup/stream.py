"""A backup as a tar: the header first, so that who reads it can refuse at once; the manifest, with the sums, last."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Final

from mailspool.backup import manifest
from mailspool.backup.manifest import File, Header
from mailspool.backup.pool import PIECE_BYTES

HEADER: Final = "header.json"


class Stream:
    """Writes the files of one backup to `out`. Raises OSError when its reader has gone."""

    def __init__(self, out: BinaryIO, work: Path) -> None:
        self._out = out
        self._work = work
        self._tar = tarfile.open(fileobj=_Reader(out), mode="w|", format=tarfile.PAX_FORMAT, errors="surrogateescape")  # noqa: SIM115
        self.folder = work / "own"
        self.folder.mkdir(mode=0o700)
        self.linked = 0

    def begin(self, header: Header) -> None:
        text = io.StringIO()
        manifest.write_header(text, header)
        content = text.getvalue().encode()
        self._tar.addfile(_member(HEADER, len(content), 0), io.BytesIO(content))

    def known(self, path: str, size: int, mtime: int) -> str:
        """It has no previous one."""
        return ""

    def add(self, path: str, source: BinaryIO, *, immutable: bool) -> File:
        """Write a file out, its size first: one that others write to is copied before."""
        stat = os.fstat(source.fileno())
        if immutable:
            return self._written(path, source, stat.st_size, stat.st_mtime_ns)
        with tempfile.TemporaryFile(dir=self._work) as copied:
            while piece := source.read(PIECE_BYTES):
                copied.write(piece)
            size = copied.tell()
            copied.seek(0)
            return self._written(path, copied, size, stat.st_mtime_ns)

    def finish(self) -> None:
        """Write what is in `folder`, the manifest last, and the end."""
        for path in sorted(self.folder.iterdir(), key=lambda path: path.name == manifest.NAME):
            with path.open("rb") as source:
                stat = path.stat()
                self._tar.addfile(_member(path.name, stat.st_size, stat.st_mtime_ns), source)
        self._tar.close()
        self._out.flush()

    def _written(self, path: str, source: BinaryIO, size: int, mtime: int) -> File:
        summed = _Summed(source)
        self._tar.addfile(_member(path, size, mtime), summed)
        return File(path, size, summed.digest.hexdigest(), mtime)


def _member(path: str, size: int, mtime: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mtime, member.mode = size, mtime // 1_000_000_000, 0o600
    return member


class _Reader(io.RawIOBase):
    """Whoever reads the tar. Once gone it is told nothing more: tarfile ends its work when it is forgotten, too."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out = out
        self._has_gone = False

    def write(self, data: Any) -> int:
        if self._has_gone:
            return len(data)
        try:
            return self._out.write(data)
        except OSError:
            self._has_gone = True
            raise


class _Summed(io.RawIOBase):
    """Reads from another file, and sums up what was read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece
