"""Sockets that are open already: systemd's (sd_listen_fds(3)), or those that the supervisor of `make run` holds.

Who holds them keeps them open while a program is started anew: clients wait in the kernel instead of being refused.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass

from spool.sockets.listeners import EVERY
from spool.sockets.service_manager import KEPT

FIRST = 3
# Of a socket by its name: what --socket and FileDescriptorName= give.
Sockets = dict[str, list[socket.socket]]


@dataclass(frozen=True, slots=True)
class Handed:
    """What a program was handed: `given` sockets are where it listens, `kept` ones are its own of a life before.

    Of the kept ones it takes those that its environment still names.
    """

    given: Sockets
    kept: Sockets

    @property
    def every(self) -> list[socket.socket]:
        return [one for sockets in (self.given, self.kept) for some in sockets.values() for one in some]


class NotOurs(ValueError):
    """What was handed over is nothing that we could listen on; the message is a sentence."""


def handed_over(environment: MutableMapping[str, str], options: Iterable[str]) -> Handed:
    """The sockets of systemd, whose variables are taken out, or those of `--socket`. Raises NotOurs."""
    return _from_systemd(environment) or Handed(_from_options(options), {})


def _from_systemd(environment: MutableMapping[str, str]) -> Handed | None:
    pid, count, names = (environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return None
    named = names.split(":") if names else []
    pairs = [(named[n] if n < len(named) else "", FIRST + n) for n in range(int(count))]
    kept = [(name.removeprefix(KEPT), number) for name, number in pairs if name.startswith(KEPT)]
    return Handed(_taken(pair for pair in pairs if not pair[0].startswith(KEPT)), _taken(kept))


def _from_options(options: Iterable[str]) -> Sockets:
    pairs = []
    for option in options:
        name, _, number = option.partition("=")
        if not number.isdecimal():
            raise NotOurs(f"{option} names no socket; it is written as smtp=7, with the number of an open descriptor.")
        pairs.append((name, int(number)))
    return _taken(pairs)


def as_options(sockets: Sockets) -> list[str]:
    """What `--socket` is to say in a program that inherits the descriptors: `smtp=7`, where 7 is one of them."""
    return [f"{name}={one.fileno()}" for name, some in sockets.items() for one in some]


def descriptors(sockets: Sockets) -> tuple[int, ...]:
    """Their numbers, for a program that is to inherit them."""
    return tuple(one.fileno() for some in sockets.values() for one in some)


def _taken(pairs: Iterable[tuple[str, int]]) -> Sockets:
    known = [listener.name for listener in EVERY]
    taken: Sockets = {}
    for name, number in pairs:
        if name not in known:
            raise NotOurs(
                f"A socket named “{name}” was handed over; the names are {', '.join(known)} (FileDescriptorName= in a "
                "socket unit)."
            )
        try:
            one = socket.socket(fileno=number)
        except OSError as error:
            raise NotOurs(f"Descriptor {number}, for {name}, is no socket: {error.strerror}.") from error
        one.set_inheritable(False)
        one.setblocking(False)
        taken.setdefault(name, []).append(one)
    return taken
