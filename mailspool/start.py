"""How every program begins: nobody else reads what it writes, and settings that can't be read are a sentence.

Not for what a program needs to work (mailspool.preflight, mailspool.prepare): this is before Django.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys

from mailspool import modes
from mailspool.environment.reader import WrongEnvironment
from mailspool.home import Home

# EX_CONFIG of sysexits.h; systemd shows it as "status=78/CONFIG".
WRONG_ENVIRONMENT = 78
_UMASK = 0o077
_WHAT_TO_DO = {
    errno.EACCES: "Run as the owner of the home, or set MAILSPOOL_HOME to a folder of your own.",
    errno.EPERM: "Run as the owner of the home, or set MAILSPOOL_HOME to a folder of your own.",
    errno.EROFS: "Mount it for writing, or set MAILSPOOL_HOME to a folder that can be written.",
    errno.ENOSPC: "The disk is full: free some space.",
    errno.EDQUOT: "The quota of the disk is used up: free some space.",
    errno.ENOTDIR: "Something on its path is a file: set MAILSPOOL_HOME to a folder.",
    errno.ELOOP: "Its symbolic links lead in a circle.",
    errno.ENAMETOOLONG: "Set MAILSPOOL_HOME to a folder with a shorter name.",
    errno.EIO: "The disk can't be read or written: look into the kernel's log.",
}
# Written to an open file they come without a name.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def begin(*, program: bool = False) -> None:
    """Set the umask and read the settings; ends the process with a sentence when they can't be read.

    A `program` is one that works for long: it has the home closed to others.
    """
    os.umask(_UMASK)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
    try:
        settings = importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
        if program:
            _take_care_of(settings.HOME)
    except WrongEnvironment as wrong:
        print(*wrong.sentences, sep="\n", file=sys.stderr)
        sys.exit(WRONG_ENVIRONMENT)
    except OSError as error:
        sentence = complaint(error)
        if not sentence:
            raise
        print(sentence, file=sys.stderr)
        sys.exit(1)


def _take_care_of(home: Home) -> None:
    """Close the home to others. Ends the process when root would fill the home of somebody else."""
    owner = home.root.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        name = modes.name_of(owner)
        print(
            f"{home.root} belongs to {name}, and this is root: what root makes {name} can't use. Run it as {name}.",
            file=sys.stderr,
        )
        sys.exit(1)
    for sentence in modes.mend(home):
        print(sentence, file=sys.stderr)


def complaint(error: OSError) -> str:
    """What the file system refuses and what to do about it; "" for what is no administrator's business."""
    if error.errno not in _WHAT_TO_DO or (error.filename is None and error.errno not in _OF_THE_DISK):
        return ""
    where = f"{os.fsdecode(error.filename)}: " if error.filename is not None else ""
    return f"{where}{error.strerror}. {_WHAT_TO_DO[error.errno]}"
