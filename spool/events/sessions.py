"""What the mail log says of SMTP sessions: connect, login, refused, disconnect. Loop thread only."""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from itertools import count
from secrets import token_hex
from typing import Final, Protocol

from accounts.directory import LocalUser
from spool.events import mail_log
from spool.events.mail_log import NO_MESSAGE, Event
from spool.message.envelope import Envelope
from spool.monitoring import tally


class Port(Protocol):
    """A listening port."""

    @property
    def number(self) -> int: ...


class Session(Protocol):
    """What is said of a session. `refusals` is counted here."""

    log_id: str
    client_ip: str
    ehlo_name: str
    messages: int
    refusals: int
    how: str
    since: float

    @property
    def port(self) -> Port: ...

    @property
    def user(self) -> LocalUser | None: ...

    @property
    def tls_in_use(self) -> str: ...

    @property
    def loop(self) -> AbstractEventLoop: ...


# Refusals of one session that are written out; how many there were is in its last line.
MOST_REFUSALS: Final = 50
# Of these verbs the argument may be shown. AUTH's has a password in it.
_SHOWN: Final = {"MAIL": "from", "RCPT": "to"}

_process = token_hex(4)
_numbers = count(1)


def new_id() -> str:
    """A name for a session that no other one has: of its process, and its number there."""
    return f"{_process}-{next(_numbers):x}"


def begin_anew() -> None:
    """After a fork, when both processes have sessions."""
    global _process
    _process = token_hex(4)


def connect(session: Session) -> None:
    if mail_log.is_on():
        mail_log.write_all(
            (
                Event(
                    {
                        "id": NO_MESSAGE,
                        "event": "connect",
                        "session": session.log_id,
                        "client": session.client_ip,
                        "port": session.port.number,
                        "tls": session.tls_in_use,
                    }
                ),
            )
        )


def refused(session: Session, reply: str, verb: str, argument: str, envelope: Envelope | None) -> None:
    """A reply that refuses something. `envelope` is of the message that it is about, if any."""
    session.refusals += 1
    if session.refusals > MOST_REFUSALS or not mail_log.is_on():
        return
    shown = {_SHOWN[verb]: _path(argument)} if verb in _SHOWN else {}
    if envelope is not None and verb != "MAIL":
        shown["from"] = envelope.sender or "<>"
        if verb != "RCPT" and len(envelope.recipients) == 1:
            shown["to"] = envelope.recipients[0].address
    mail_log.write(
        "refused",
        session=session.log_id,
        client=session.client_ip,
        port=session.port.number,
        login=session.user.address if session.user is not None else "",
        verb=verb,
        reply=reply,
        **shown,
        nrcpt=len(envelope.recipients) if envelope is not None and verb != "MAIL" else "",
        ehlo=session.ehlo_name,
    )


def login(session: Session, username: str, result: str) -> None:
    """`result` is ok, failed (a wrong name or password) or closed (the password was not even looked at)."""
    tally.login("smtp", result)
    mail_log.write(
        "login",
        session=session.log_id,
        result=result,
        protocol="smtp",
        client=session.client_ip,
        port=session.port.number,
        login=username.strip(),
    )


def disconnect(session: Session) -> None:
    """`how` a session ended: by quit, because the client left, or with a reply of ours that nobody asked for.

    One in which all went well needs no such line: that would be a fifth of the log.
    """
    if session.how == "quit" and session.messages and not session.refusals:
        return
    mail_log.write(
        "disconnect",
        session=session.log_id,
        client=session.client_ip,
        how=session.how or "left",
        seconds=session.loop.time() - session.since,
        messages=session.messages,
        refused=session.refusals,
    )


def _path(argument: str) -> str:
    """The address in `FROM:<…>` or `TO:<…>`, or what is there instead."""
    begin, end = argument.find("<"), argument.find(">")
    return (argument[begin + 1 : end] or "<>") if 0 <= begin < end else argument


os.register_at_fork(after_in_child=begin_anew)
