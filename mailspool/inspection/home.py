"""The home, the environment's file, and the disks below them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from base import schema
from mailspool import modes
from mailspool.inspection.findings import Finding, fault, ok, warning
from spool.actions import folders
from spool.files import marks
from spool.models.settings import current

ENVIRONMENT_FILE = Path("/etc/mailspool/environment")
_MEGABYTE = 1024 * 1024
# Of a hundred: files are what a spool and Maildirs are made of.
_FEW_INODES = 2


def home() -> Iterator[Finding]:
    """Whose the folders are, and whether this user can work in them."""
    whole, user = True, modes.name_of(os.geteuid())
    if settings.HOME.restore_mark.exists():
        whole = False
        yield fault("home", schema.RESTORE_UNFINISHED)
    for folder in settings.HOME.folders:
        if not folder.is_dir():
            whole = False
            yield fault("home", f"The folder {folder} is missing. Is its disk mounted?")
        elif (owner := folder.stat().st_uid) != os.geteuid():
            whole = False
            yield fault(
                "home",
                f"{folder} belongs to {modes.name_of(owner)}, and this is {user}: what one of them makes the other"
                f" can't use. Run Mailspool and its commands as {modes.name_of(owner)}, or chown {folder}.",
            )
        elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            whole = False
            yield fault("home", f"{folder} can't be written by {user}. Look at its mode and its mount.")
    if whole:
        yield ok("home", f"{settings.HOME.root} has all its folders.")


def folders_marked() -> Iterator[Finding]:
    """Whether the folders are those that this installation has marked."""
    missing = marks.faults()
    for sentence in missing:
        yield fault("marks", sentence)
    if not missing:
        yield ok("marks", "The folders are this installation's, or none was marked yet (the first start does it).")


def open_to_others() -> Iterator[Finding]:
    """Who else may read what is in the home."""
    paths = modes.open_to_others(settings.HOME)
    for path in paths:
        yield fault("modes", f"{path} is open to others: chmod go= {path} (every start of a program does it too).")
    if not paths:
        yield ok("modes", "Only the owner can look into the home.")


def environment_file() -> Iterator[Finding]:
    """Who else may read or change the file with the passwords."""
    try:
        mode = stat.S_IMODE(ENVIRONMENT_FILE.stat().st_mode)
    except OSError:
        return
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        yield fault(
            "environment",
            f"{ENVIRONMENT_FILE} has passwords in it and is open to others (mode {mode:04o}): chmod 640.",
        )
    else:
        yield ok("environment", f"{ENVIRONMENT_FILE} is read by those alone who must.")


def disk() -> Iterator[Finding]:
    """Room for new mail."""
    needed_mb = current().min_free_mb
    seen: set[int] = set()
    for folder in (settings.HOME.spool, settings.HOME.maildirs, settings.HOME.root):
        if not folder.is_dir() or (device := folder.stat().st_dev) in seen:
            continue
        seen.add(device)
        free_mb = shutil.disk_usage(folder).free // _MEGABYTE
        counts = os.statvfs(folder)
        if free_mb < needed_mb:
            yield fault("disk", f"{folder} has {free_mb} MB free, {needed_mb} MB are needed: new mail is answered 452.")
        elif counts.f_files and counts.f_favail * 100 < counts.f_files * _FEW_INODES:
            yield fault("disk", f"The disk of {folder} has room for only {counts.f_favail} more files (df -i).")
        else:
            yield ok("disk", f"{folder} has {free_mb:,} MB free.")


def move_folders() -> Iterator[Finding]:
    """Whether messages can be moved to where they may be moved to."""
    user = modes.name_of(os.geteuid())
    for root in folders.roots():
        nearest = next(path for path in (root, *root.parents) if path.exists())
        if nearest != root and root.is_relative_to(settings.HOME.root):
            continue
        if not root.is_dir() and nearest == root:
            yield fault("move folders", f"{root} is no folder: Settings name it as one for moved messages.")
        elif not os.access(nearest, os.W_OK | os.X_OK, effective_ids=True):
            yield fault(
                "move folders",
                f"Messages can't be moved to {root}: {user} may not write in {nearest}. Make the folder for that user,"
                " or change the folders for moved messages in Settings.",
            )
        else:
            yield ok("move folders", f"Messages can be moved to {root}.")


def country_database() -> Iterator[Finding]:
    """Whether the file that MAILSPOOL_GEOIP_DATABASE names is there."""
    path = settings.MAILSPOOL_GEOIP_DATABASE
    if path and not os.access(path, os.R_OK, effective_ids=True):
        yield warning("countries", f"MAILSPOOL_GEOIP_DATABASE={path} can't be read: the guard goes by networks alone.")
