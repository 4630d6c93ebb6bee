"""Those that race: Mailspool on each database, and a Postfix that is set up for the same mail."""

from __future__ import annotations

import argparse
import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.systems import MailspoolSystem
from tests.support.postfix import PostfixServer

LOCAL_DOMAIN = "here.test"
USERS = tuple(f"user{number}" for number in range(10))
LARGEST_BYTES = 50 * 1024 * 1024
MOST_RECIPIENTS = 100_000
# What Postfix would refuse by default, and what has no limit in Mailspool, or a higher one.
_NO_LIMITS = {"message_size_limit": str(LARGEST_BYTES), "smtpd_recipient_limit": str(MOST_RECIPIENTS)}


class PostfixRacer:
    """Debian's Postfix with `settings` of main.cf and `services` of master.cf over its defaults."""

    name = "postfix"

    def __init__(self, settings: Mapping[str, str], services: Sequence[str] = ()) -> None:
        self.server = PostfixServer({**_NO_LIMITS, **settings}, services=services)
        self.port = self.server.port

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def parts(self) -> dict[str, list[int]]:
        return {"postfix": [self.server.daemon.pid]}


def names(options: argparse.Namespace) -> list[str]:
    """Of the databases that are asked for."""
    return ["sqlite", "postgres"] if options.database == "both" else [options.database]


def mailspools(options: argparse.Namespace, folder: Path, dns: str, sink_port: int) -> list[MailspoolSystem]:
    """One on each database, and with `--store` one more for each place of content."""
    return [
        MailspoolSystem(
            folder, database, dns=dns, sink_port=sink_port, workers=options.workers, profile=False, store=store
        )
        for database in names(options)
        for store in (options.store if database == "postgres" and options.store else ("",))
    ]


def postfix_relay(sink_port: int) -> PostfixRacer:
    """One that relays all to the sink."""
    return PostfixRacer({"relayhost": f"[127.0.0.1]:{sink_port}"})


def postfix_with_maildirs(folder: Path) -> PostfixRacer:
    """One that delivers to USERS by virtual(8), below `folder`."""
    owner = pwd.getpwnam("nobody")
    folder.mkdir()
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return PostfixRacer(
        {
            "virtual_mailbox_domains": LOCAL_DOMAIN,
            "virtual_mailbox_base": str(folder),
            "virtual_mailbox_maps": f"inline:{{ {' '.join(f'{{{user}@{LOCAL_DOMAIN}={user}/}}' for user in USERS)} }}",
            "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}",
            "virtual_mailbox_limit": "0",
        },
        ["virtual unix - n n - - virtual"],
    )


def postfix_with_lmtp(port: int) -> PostfixRacer:
    """One that hands mail for USERS to the store on that port."""
    return PostfixRacer(
        {
            "virtual_mailbox_domains": LOCAL_DOMAIN,
            "virtual_mailbox_maps": "static:all",
            "virtual_transport": f"lmtp:inet:127.0.0.1:{port}",
        }
    )
