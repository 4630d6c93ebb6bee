"""Messages that wait: rows of a Mailspool, files in the deferred queue of a Postfix."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.loads.systems import PostfixRacer
from bench.systems import MailspoolSystem, Racer
from tests.support.mailspool_process import PROJECT
from tests.support.postfix import tool
from tests.support.waiting import wait_until

# Until then none is tried.
_DUE_SECONDS = 86_400
_READY = 0o700


def fill(racer: Racer, number: int) -> None:
    """Have that many messages wait which are not due for hours."""
    if isinstance(racer, MailspoolSystem):
        command = [sys.executable, "-m", "bench.spool_of", str(number)]
        env = {**racer.mailspool.env, "DJANGO_SETTINGS_MODULE": "mailspool.settings"}
        subprocess.run(command, check=True, env=env, cwd=PROJECT, stderr=subprocess.DEVNULL)
    elif isinstance(racer, PostfixRacer):
        _fill_postfix(racer, number)


def _fill_postfix(racer: PostfixRacer, number: int) -> None:
    """Copies of one message that Postfix deferred itself, each with the name that its inode asks for."""
    server, queue = racer.server, racer.server.folder / "queue"
    put_off = ["-c", str(server.config), "-e"]
    subprocess.run([tool("postconf"), *put_off, "defer_transports = smtp relay"], check=True)
    subprocess.run([tool("postfix"), "-c", str(server.config), "reload"], check=True, capture_output=True)
    server.send("ann@bulk.test", "bob@example.net", b"Subject: Bulk\n\n" + b"A line of text.\n" * 250)
    wait_until(lambda: _files(queue / "deferred"), "a message is deferred", 60)
    [model] = _files(queue / "deferred")
    kept = server.folder / "deferred"
    shutil.copyfile(model, kept)
    subprocess.run([tool("postsuper"), "-c", str(server.config), "-d", "ALL"], check=True, capture_output=True)
    owner, due = pwd.getpwnam("postfix").pw_uid, time.time() + _DUE_SECONDS
    for name in "0123456789ABCDEF":
        (queue / "deferred" / name).mkdir(mode=0o700, exist_ok=True)
        os.chown(queue / "deferred" / name, owner, -1)
    for count in range(number):
        beside = queue / "deferred" / "new"
        shutil.copyfile(kept, beside)
        os.chown(beside, owner, -1)
        os.utime(beside, (due, due))
        beside.chmod(_READY)
        # A name that is not long: microseconds in five hexadecimal digits, then the inode.
        name = f"{count % 1_000_000:05X}{beside.stat().st_ino:X}"
        beside.rename(queue / "deferred" / name[0] / name)
    subprocess.run([tool("postconf"), *put_off, "defer_transports ="], check=True)
    subprocess.run([tool("postfix"), "-c", str(server.config), "reload"], check=True, capture_output=True)
    listed = subprocess.run([tool("postqueue"), "-c", str(server.config), "-j"], check=True, capture_output=True)
    if listed.stdout.count(b'"queue_name": "deferred"') != number:
        raise RuntimeError("Postfix does not see all that waits")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
