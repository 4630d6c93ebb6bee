"""Logging in: AUTH PLAIN and LOGIN (RFC 4954), under TLS alone."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from aiosmtpd.smtp import syntax

from accounts import directory
from accounts.directory import LocalUser
from accounts.local_addresses import lookup_key
from spool.events import sessions
from spool.smtpd.database import ask, asked
from spool.smtpd.login_turns import TooManyLogins
from spool.smtpd.verbs.parameters import BadParameter

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession

MOST_LOGIN_FAILURES = 3
FAILED_LOGIN_SECONDS = 1.0
TOO_MANY_LOGINS = "454 4.7.0 Too many passwords from your address are waiting to be looked at; try again in a minute"


@syntax("AUTH <mechanism> [initial-response]")
async def auth(session: MailSession, argument: str | None) -> None:
    if not session.encrypted:
        await session.refuse("538 5.7.11 Passwords are taken under TLS only; use STARTTLS first")
    elif not session.extended:
        await session.refuse("503 5.5.1 Send EHLO first")
    elif session.user is not None or session.transaction is not None:
        await session.refuse("503 5.5.1 AUTH comes once, and before MAIL")
    else:
        await _log_in(session, argument or "")


async def _log_in(session: MailSession, argument: str) -> None:
    try:
        username, password = await _credentials(session, argument)
    except BadParameter as error:
        await session.refuse(error.reply)
        return
    reply = await session.shared.checks.refusal("on_auth", session, username)
    # Whose connections are dropped while the password is looked at loses this one too.
    session.claimed_user = lookup_key(username.strip())
    try:
        user = None if reply else await _looked_at(session, username, password)
        if user is not None:
            session.log_in(user)
    except TooManyLogins:
        sessions.login(session, username, "closed")
        await asyncio.sleep(FAILED_LOGIN_SECONDS)
        await session.refuse(TOO_MANY_LOGINS)
        return
    finally:
        session.claimed_user = ""
    if not reply:
        await session.shared.checks.tell("on_login", session, username, password, user is not None)
    if user is not None:
        session.shared.login_turns.succeeded(session.client_ip)
        session.shared.logins.note(user.id, "SMTP", session.client_ip, datetime.now(UTC))
        sessions.login(session, user.address, "ok")
        await session.push("235 2.7.0 Welcome")
        return
    session.login_failures += 1
    sessions.login(session, username, "closed" if reply else "failed")
    await asyncio.sleep(FAILED_LOGIN_SECONDS)
    await session.refuse(str(reply) if reply else "535 5.7.8 The user name or the password is wrong")
    if session.login_failures >= MOST_LOGIN_FAILURES:
        session.say_goodbye("421 4.7.0 Too many failed logins; closing the connection")


async def _looked_at(session: MailSession, username: str, password: str) -> LocalUser | None:
    """Who that is. What is remembered waits for nobody; else it is the turn of the client's address at some time."""
    is_known, user = await asked(directory.authenticate_quickly, username, password, session.client_ip)
    if is_known:
        return user
    question = partial(ask, partial(directory.authenticate, username, password))
    return await session.shared.login_turns.ask(session.client_ip, question)


async def _credentials(session: MailSession, argument: str) -> tuple[str, str]:
    """User name and password, as the mechanism asks for them. Raises BadParameter."""
    mechanism, _, initial = argument.partition(" ")
    if mechanism.upper() == "PLAIN":
        answer = (await _response(session, initial, "")).split("\0")
        if len(answer) != 3 or answer[0] not in ("", answer[1]):
            raise BadParameter("501 5.5.2 The PLAIN response needs a user and a password")
        return answer[1], answer[2]
    if mechanism.upper() == "LOGIN":
        username = await _response(session, initial, "VXNlcm5hbWU6")
        if "\0" in username:
            raise BadParameter("501 5.5.2 The user name has a NUL")
        return username, await _response(session, "", "UGFzc3dvcmQ6")
    raise BadParameter("504 5.5.4 The mechanism is not known; use PLAIN or LOGIN")


async def _response(session: MailSession, initial: str, challenge: str) -> str:
    """One base64 response of the client, decoded. Raises BadParameter."""
    if not initial:
        await session.push(f"334 {challenge}")
        line = await session.read_line()
        if line is None:
            raise BadParameter("500 5.5.6 The response is too long")
        initial = line.decode("ascii", "replace").strip()
    if initial == "*":
        raise BadParameter("501 5.7.0 The login was cancelled")
    try:
        return base64.b64decode("" if initial == "=" else initial, validate=True).decode()
    except ValueError as error:
        raise BadParameter("501 5.5.2 The response is not valid base64") from error
