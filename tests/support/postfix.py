"""A private Postfix beside whatever runs on the machine: a client that relays to us, a next hop, a peer to race.

Needs root, as Postfix does.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening

# The services of Debian's master.cf, without those that this use never starts, and without chroot.
_SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# What Debian's main.cf says for an "Internet Site", as far as it touches relaying.
_DEFAULTS = {
    "compatibility_level": "3.6",
    "append_dot_mydomain": "no",
    "biff": "no",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "mydestination": "",
    "mynetworks": "127.0.0.0/8",
    "alias_maps": "",
    "alias_database": "",
    "smtpd_relay_restrictions": "permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
    "mailbox_size_limit": "0",
    "recipient_delimiter": "+",
}


class PostfixServer:
    """One instance. `settings` are main.cf's, over Debian's defaults: `{"relayhost": "[127.0.0.1]:2525"}`.

    `services` are lines of master.cf beside the usual ones.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        hostname: str = "postfix.test",
        logs: bool = True,
        services: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-postfix-"))
        # The daemons run as `postfix` and must reach their queue.
        self.folder.chmod(0o755)
        self.log = self.folder / "mail.log"
        self.settings = {
            **_DEFAULTS,
            "myhostname": hostname,
            "queue_directory": str(self.folder / "queue"),
            "data_directory": str(self.folder / "data"),
            **({"maillog_file": str(self.log), "maillog_file_prefixes": str(self.folder)} if logs else {}),
            **settings,
        }
        self._services = services
        self.config = self.folder / "etc"
        # -d keeps the master in the foreground and in our process group.
        self.daemon = Daemon(
            "postfix",
            ["/usr/lib/postfix/sbin/master", "-c", self.config, "-d"],
            self.folder / "master.log",
            cwd=self.folder,
        )

    def start(self) -> None:
        """Write the configuration and wait until the port answers."""
        self.config.mkdir(exist_ok=True)
        (self.config / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in self.settings.items()))
        (self.config / "master.cf").write_text(
            _SERVICES.format(port=self.port) + "".join(f"{line}\n" for line in self._services)
        )
        (self.folder / "queue").mkdir(exist_ok=True)
        data = self.folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        os.chown(data, pwd.getpwnam("postfix").pw_uid, grp.getgrnam("postfix").gr_gid)
        # Makes the queue's folders.
        subprocess.run([tool("postfix"), "-c", self.config, "check"], check=True, capture_output=True, timeout=60)
        self.daemon.start(lambda: is_listening(self.port), seconds=30)

    def stop(self) -> None:
        """Stop all of it and delete its folder."""
        self.daemon.stop(15)
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, sender: str, to: str, content: bytes) -> None:
        """Hand a message to this Postfix's sendmail, as a program on its host would."""
        subprocess.run(
            [tool("sendmail"), "-C", str(self.config), "-i", "-f", sender, "--", to],
            input=content.replace(b"\r\n", b"\n"),
            check=True,
            cwd=self.folder,
            capture_output=True,
            timeout=20,
        )

    def queue(self) -> str:
        """What `postqueue -p` says."""
        command = [tool("postqueue"), "-c", str(self.config), "-p"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout

    @property
    def queue_is_empty(self) -> bool:
        return "Mail queue is empty" in self.queue()

    def log_text(self) -> str:
        """Its mail log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def can_run() -> bool:
    """Whether Postfix is installed and we may start one."""
    return os.geteuid() == 0 and Path("/usr/sbin/postfix").exists()


def tool(name: str) -> str:
    """The path of one of Postfix's programs, as `smtp-source`."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or name
