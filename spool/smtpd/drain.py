"""The end of a listener: whoever is amid a message finishes it, everybody hears 421, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from spool.smtpd.seam import HANDSHAKE_SECONDS
from spool.smtpd.session import STOPPING
from spool.smtpd.shared import Shared

DRAIN_SECONDS = 30.0
# A client that has begun a message, and then says nothing for so long before its content, is sent away: until it has
# gone no successor greets anybody.
SILENCE_GRACE_SECONDS = 3.0
# A client that is amid its TLS handshake hears 421 after it; one that takes longer is cut off.
HANDSHAKE_GRACE_SECONDS = 3.0
_LOOK_SECONDS = 0.02


async def drain(shared: Shared, servers: Sequence[asyncio.Server]) -> None:
    """Let messages that have begun come to their end, within DRAIN_SECONDS; send all other clients away at once.

    New clients are not ours any more: they wait in the sockets when somebody holds these for a successor.
    """
    loop = asyncio.get_running_loop()
    shared.stopping = True
    for server in servers:
        for one in server.sockets:
            loop.remove_reader(one.fileno())
    # Clients that were accepted just now get their sessions first: a server that is closed would drop them unheard.
    for _ in range(3):
        await asyncio.sleep(0)
    for server in servers:
        server.close()
    for session in list(shared.sessions):
        # The others hear it when what they are doing is over.
        if session.waits_for_command:
            session.say_goodbye(STOPPING)
    began = loop.time()
    while (draining_seconds := loop.time() - began) < DRAIN_SECONDS:
        if (
            shared.connections == len(shared.handshakes)
            and not shared.committer.pending
            and not _handshakes(shared, draining_seconds)
        ):
            break
        silent_since = loop.time() - SILENCE_GRACE_SECONDS
        for session in list(shared.sessions):
            if silent_since > began and session.says_nothing_since(silent_since):
                session.say_goodbye(STOPPING)
        await asyncio.sleep(_LOOK_SECONDS)
    for session in list(shared.sessions):
        session.say_goodbye(STOPPING)
    # One turn of the loop writes what the sockets take.
    await asyncio.sleep(0)


def _handshakes(shared: Shared, draining_seconds: float) -> bool:
    """Whether clients of the implicit-TLS port are on their way to being greeted."""
    oldest = shared.loop_time() - HANDSHAKE_SECONDS
    return draining_seconds < HANDSHAKE_GRACE_SECONDS and any(session.since > oldest for session in shared.handshakes)
