"""How every program begins: nobody else reads what it writes, and settings that can't be read are a sentence.

Not for what a program needs to work (mailspool.preflight, mailspool.prepare): this is before Django.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys

from mailspool.environment.reading import WrongEnvironment

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


def begin() -> None:
    """Set the umask and read the settings; ends the program with a sentence when they can't be read."""
    os.umask(_UMASK)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
    try:
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except WrongEnvironment as wrong:
        print(*wrong.sentences, sep="\n", file=sys.stderr)
        sys.exit(WRONG_ENVIRONMENT)
    except OSError as error:
        sentence = complaint(error)
        if not sentence:
            raise
        print(sentence, file=sys.stderr)
        sys.exit(1)


def complaint(error: OSError) -> str:
    """What the file system refuses and what to do about it; "" for what is no administrator's business."""
    if error.filename is None or error.errno not in _WHAT_TO_DO:
        return ""
    return f"{os.fsdecode(error.filename)}: {error.strerror}. {_WHAT_TO_DO[error.errno]}"
