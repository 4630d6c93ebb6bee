"""Where each listener listens: MAILSPOOL_BIND and the variables of the ports together."""

from __future__ import annotations

from mailspool.environment import variables as v
from mailspool.environment.reader import Environment, WrongEnvironment
from spool.sockets.addresses import Address, WrongAddress, addresses, check_apart
from spool.sockets.listeners import SMTP, SMTPS, SUBMISSION, WEB, Listener

_VARIABLES = {SMTP: v.SMTP_PORT, SUBMISSION: v.SUBMISSION_PORT, SMTPS: v.SMTPS_PORT, WEB: v.WEB_PORT}


def addresses_of(env: Environment) -> dict[str, tuple[Address, ...]]:
    """The addresses of each listener, by its name; none of one that is turned off. Raises WrongEnvironment."""
    bind = env[v.BIND]
    listen: dict[Listener, tuple[Address, ...]] = {}
    for listener, variable in _VARIABLES.items():
        places = env[variable]
        listen[listener] = addresses(places, bind)
    try:
        check_apart({listener.variable: some for listener, some in listen.items()})
    except WrongAddress as error:
        raise WrongEnvironment([f"{error}."]) from None
    return {listener.name: some for listener, some in listen.items()}
