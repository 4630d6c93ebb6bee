"""Folders outside the spool that messages may be moved to: only below the roots that the settings allow.

A folder is opened one name after the other, from its root, without following symbolic links; what happens in it then
happens through its descriptor. Nobody who swaps a folder for a link meanwhile leads a file elsewhere.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings as django_settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.actions.inputs import Input
from spool.actions.verb import Refused
from spool.message.held import Source
from spool.models.settings import current, parse_move_roots

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
LARGEST_JSON = 4 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024


# What an action that moves messages out asks for.
INPUT = Input(
    "folder",
    _lazy("Folder"),
    help=_lazy("Only below the folders that the settings allow."),
    option_help="where to, below an allowed folder (moved/)",
    metavar="PATH",
    suggest=lambda: str(roots()[0]),
)


def roots() -> tuple[Path, ...]:
    """The allowed roots; the first is where messages go by default."""
    return parse_move_roots(current().move_roots) or (django_settings.HOME.root / "moved",)


def checked(text: str) -> Path:
    """The folder that `text` means, relative to the first root. Raises Refused for one outside the allowed roots."""
    if not text.isprintable() or len(os.fsencode(text)) > 1000:
        raise Refused(_("A folder's path is one line of printable text, of at most 1000 bytes."))
    path = Path(text.strip()) if text.strip() else roots()[0]
    if ".." in path.parts:
        raise Refused(_("The path must not have .. in it."))
    path = path if path.is_absolute() else roots()[0] / path
    if not any(path == root or root in path.parents for root in roots()):
        allowed = ", ".join(str(root) for root in roots())
        raise Refused(
            _("%(path)s is not in a folder that messages may be moved to: %(allowed)s (Settings).")
            % {"path": path, "allowed": allowed}
        )
    if any(len(os.fsencode(part)) > 255 for part in path.parts):
        raise Refused(_("A part of the path is longer than 255 bytes."))
    return path


@contextmanager
def opened(path: Path, *, create: bool) -> Iterator[int]:
    """A descriptor of the folder at `path`, which `checked` has passed; made when it is missing and `create`.

    Raises Refused when a part of the path is a symbolic link or no folder, can't be made, or is read-only.
    """
    root = next(root for root in roots() if path == root or root in path.parents)
    try:
        if create:
            # The root itself is the administrator's choice, wherever it leads.
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        here = os.open(root, _FOLDER)
    except OSError as error:
        raise Refused(_why(root, error)) from error
    try:
        for name in path.relative_to(root).parts:
            below = _below(here, name, path, create)
            os.close(here)
            here = below
        if create and os.fstatvfs(here).f_flag & os.ST_RDONLY:
            raise Refused(_why(path, OSError(errno.EROFS, os.strerror(errno.EROFS))))
        yield here
    finally:
        os.close(here)


def _below(folder: int, name: str, path: Path, create: bool) -> int:
    try:
        if create:
            try:
                os.mkdir(name, 0o700, dir_fd=folder)
                os.fsync(folder)
            except FileExistsError:
                pass
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(
                _("%(path)s: %(name)s is a symbolic link or no folder.") % {"path": path, "name": name}
            ) from error
        raise Refused(_why(path, error)) from error


def _why(path: Path, error: OSError) -> str:
    if error.errno == errno.EROFS:
        # Nearly always the units' doing (ProtectSystem=strict), and "read-only file system" tells nobody that.
        return _(
            "%(path)s: the services may not write there; it must stand in their ReadWritePaths (deploy/README.md)."
        ) % {"path": path}
    return f"{path}: {error.strerror}."


def place(folder: int, name: str, source: Path) -> None:
    """Have the file `source` in the folder too, under `name`, with the same bytes, and durable.

    Raises Refused when another file has the name, and OSError (a full disk, for example); then nothing is left behind.
    """
    try:
        os.link(source, name, dst_dir_fd=folder, follow_symlinks=False)
        return
    except FileExistsError as error:
        if _is_same(folder, name, source):
            return
        raise Refused(_("%(name)s exists there already.") % {"name": name}) from error
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
    with source.open("rb") as reader:
        _write(folder, name, iter(lambda: reader.read(_PIECE_BYTES), b""))


def copy(folder: int, name: str, source: Source) -> None:
    """Have a copy of a message in the folder, durable. Raises Refused when a file has its name, and OSError."""
    with source.open("rb") as reader:
        try:
            there = _opened(folder, name)
        except FileNotFoundError:
            _write(folder, name, iter(lambda: reader.read(_PIECE_BYTES), b""))
            return
        except OSError as error:
            raise Refused(_("%(name)s exists there already.") % {"name": name}) from error
        with there:
            if not _are_equal(there, reader):
                raise Refused(_("%(name)s exists there already.") % {"name": name})


def write_json(folder: int, name: str, values: Mapping[str, Any]) -> None:
    """Write `values` as a file, durable. Raises Refused when another file has the name, and OSError."""
    _write(folder, name, iter([json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n"]))


def _write(folder: int, name: str, pieces: Iterator[bytes]) -> None:
    """Under a temporary name first: a name that is there names a whole file."""
    temporary = f".{name}.part"
    _unlink(folder, temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        _name_it(folder, temporary, name)
    finally:
        _unlink(folder, temporary)


def _name_it(folder: int, temporary: str, name: str) -> None:
    """link(2) never replaces a file; where a file system has no links, look first."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError as error:
        if _has_same(folder, name, temporary):
            return
        raise Refused(_("%(name)s exists there already.") % {"name": name}) from error
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            raise
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            raise Refused(_("%(name)s exists there already.") % {"name": name}) from error


def listing(folder: int) -> list[str]:
    """The names in the folder."""
    return os.listdir(folder)


def remove(folder: int, *names: str) -> None:
    """Remove files; missing ones are no error."""
    for name in names:
        _unlink(folder, name)


def read_json(folder: int, name: str) -> Any:
    """What `write_json` wrote, or somebody else. Raises Refused."""
    content = _content(folder, name)
    if content is None or len(content) > LARGEST_JSON:
        raise Refused(_("%(name)s can't be read, or is too large to be an envelope.") % {"name": name})
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(_("%(name)s is not the JSON of an envelope.") % {"name": name}) from error


def read(folder: int, name: str, limit_bytes: int) -> bytes:
    """A whole regular file, no link. Raises Refused."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise Refused(f"{name}: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Refused(_("%(name)s is no file.") % {"name": name})
        if status.st_size > limit_bytes:
            raise Refused(
                _("%(name)s is larger than %(limit_bytes)s bytes.") % {"name": name, "limit_bytes": limit_bytes}
            )
        return file.read(limit_bytes + 1)


def pieces(folder: int, name: str, limit_bytes: int) -> Iterator[bytes]:
    """The bytes of a regular file, no link, a piece at a time. Raises Refused."""
    try:
        file = _opened(folder, name)
    except OSError as error:
        raise Refused(f"{name}: {error.strerror}.") from error
    with file:
        if os.fstat(file.fileno()).st_size > limit_bytes:
            raise Refused(
                _("%(name)s is larger than %(limit_bytes)s bytes.") % {"name": name, "limit_bytes": limit_bytes}
            )
        read = 0
        while read <= limit_bytes and (piece := file.read(_PIECE_BYTES)):
            read += len(piece)
            yield piece


def _content(folder: int, name: str) -> bytes | None:
    try:
        return read(folder, name, LARGEST_JSON)
    except Refused:
        return None


def _has_same(folder: int, name: str, other: str) -> bool:
    """Whether two files of the folder have the same bytes; what is no regular file has none."""
    try:
        with _opened(folder, name) as one, _opened(folder, other) as another:
            return _are_equal(one, another)
    except OSError:
        return False


def _opened(folder: int, name: str) -> BinaryIO:
    """A regular file, no link. Raises OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EEXIST, f"{name} is no file")
    return os.fdopen(descriptor, "rb")


def _are_equal(one: BinaryIO, other: BinaryIO) -> bool:
    """Whether all bytes are the same, whatever their number: a piece of each at a time."""
    while piece := one.read(_PIECE_BYTES):
        if piece != other.read(_PIECE_BYTES):
            return False
    return not other.read(1)


def _is_same(folder: int, name: str, source: Path) -> bool:
    there, here = os.stat(name, dir_fd=folder, follow_symlinks=False), source.stat()
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _unlink(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
