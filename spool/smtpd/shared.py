"""What all sessions of one listener process share: settings, limits, the committer."""

from __future__ import annotations

import asyncio
import logging
import resource
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings as django_settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from accounts import login_history
from spool.delivery import routes
from spool.delivery.routes import RoutingTable, cached_table
from spool.models import settings as settings_module
from spool.models.settings import Settings, current
from spool.smtpd.checks import CheckChain
from spool.smtpd.committer import Committer
from spool.smtpd.login_turns import LoginTurns
from spool.smtpd.tls import server_context, version_of
from spool.smtpd.uploads import Uploads
from spool.sockets import service_manager

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0
PORTS = 3
# For files, the database, Redis and the DNS; without a free one nobody could even be told to come back.
RESERVED_DESCRIPTORS = 200


@dataclass(frozen=True, slots=True)
class Port:
    """One listening port: `submission` wants a login, `implicit_tls` speaks TLS from the first byte."""

    number: int
    submission: bool = False
    implicit_tls: bool = False


class Shared:
    """Loop thread only. `refresh` keeps it no more than a second behind the console."""

    def __init__(self, committer: Committer) -> None:
        self.hostname: str = django_settings.MAILSPOOL_HOSTNAME
        self.committer = committer
        self.uploads = Uploads()
        self.checks = CheckChain()
        # Connections by address (IPv6 by /64), and by port: strangers who fill one leave the others alone.
        self.per_ip: Counter[str] = Counter()
        self.per_port: Counter[int] = Counter()
        self.connections = 0
        self.sessions: set[MailSession] = set()
        # Those of the implicit-TLS port that have not been greeted yet.
        self.handshakes: set[MailSession] = set()
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.status = ""
        self.stopping = False
        self.logins = login_history.Pending()
        self.login_turns = LoginTurns()
        self.settings = Settings()
        self.routes = RoutingTable()
        self.tls: ssl.SSLContext
        self._asked = asyncio.Event()
        self._certificate: tuple[object, ...] | None = None

    def loop_time(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    async def refresh(self) -> None:
        """Read settings and routes; a broken certificate leaves the one in use."""
        self.settings, self.routes = await asyncio.to_thread(_read)
        certificate = await asyncio.to_thread(version_of, self.settings)
        if certificate != self._certificate:
            self._certificate = certificate
            self.load_certificate()

    def load_certificate(self) -> None:
        """Take the certificate that the settings name; one that can't be used leaves the one in use.

        At the start that is the self-signed one: mail must go on. Raises OSError when not even that can be had.
        """
        try:
            self.tls = server_context(self.settings)
        except (OSError, ssl.SSLError) as error:
            name = self.settings.tls_certificate
            log.error("the TLS certificate %s can't be used, another stays in its place: %s", name, error)
            if not hasattr(self, "tls"):
                self.tls = server_context(Settings())

    def in_hand(self) -> int:
        """How many clients are amid something, and messages being committed. From any thread."""
        return sum(not session.waits_for_command for session in list(self.sessions)) + self.committer.pending

    @property
    def room_per_port(self) -> int:
        """How many connections a port may have: as the settings say, as far as there are file descriptors for them."""
        return min(self.settings.max_connections, max(10, (self._descriptors - RESERVED_DESCRIPTORS) // PORTS))

    def reload(self) -> None:
        """Read settings, routes and certificate now, rather than within a second."""
        if self.status:
            service_manager.reloading()
        self._asked.set()

    async def keep_fresh(self) -> None:
        """Refresh once a second and whenever `reload` asks for it, for ever."""
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), REFRESH_SECONDS)
            except TimeoutError:
                pass
            asked = self._asked.is_set()
            self._asked.clear()
            try:
                if asked:
                    settings_module.forget()
                    routes.forget()
                    self._certificate = None
                await self.refresh()
            except DatabaseError as error:
                log.warning("the settings could not be read, the old ones stay: %s", error)
            except Exception:  # the edge of the task: it must not end before its process
                log.exception("the settings can't be used, the old ones stay")
            if asked:
                print("read settings and certificate anew", flush=True)
                service_manager.ready(self.status)


def _read() -> tuple[Settings, RoutingTable]:
    close_old_connections()
    return current(), cached_table()
