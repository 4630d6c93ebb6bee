"""What signing (DKIM, RSA-2048) costs: Mailspool with and without, beside Postfix with OpenDKIM as its milter.

    python -m bench.signing [--database sqlite|postgres] [--sessions 10,50] [--messages N] [--rounds N]

The systems take turns as in bench.mail_flow, and the same smtp-source and smtp-sink are at the ends. Before anything is
measured each of them has to send a message that is signed, or is not, as its name says.
"""

from __future__ import annotations

import argparse
import os
import shutil
import smtplib
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench import frame, runs
from bench.systems import SINK_DOMAIN, MailspoolSystem, Racer, dns_of
from tests.support.daemon import Daemon
from tests.support.messages import a_message
from tests.support.ports import free_port, is_listening
from tests.support.postfix import PostfixServer, can_run
from tests.support.sink import SmtpSink
from tests.support.smtp_peer import SmtpPeer
from tests.support.waiting import wait_until

OPENDKIM = "/usr/sbin/opendkim"
DOMAIN = runs.SENDER.partition("@")[2]
_KEY = f"""
from django.utils import timezone
from spool.models import DkimKey
from spool.signing import lifecycle
key = lifecycle.make("{DOMAIN}", "rsa", timezone.now(), "s1")
DkimKey.objects.filter(pk=key.pk).update(state="active", active=timezone.now(), checked=timezone.now())
"""
_CONFIG = """\
Socket inet:{port}@127.0.0.1
Mode s
Domain {domain}
Selector s1
KeyFile {folder}/s1.private
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
OversignHeaders From
InternalHosts 127.0.0.0/8
UserID opendkim
RequireSafeKeys no
Syslog no
Background no
"""


class SigningMailspool(MailspoolSystem):
    """Mailspool with an active key for the sender's domain."""

    def __init__(self, folder: Path, database: str, *, dns: str, sink_port: int) -> None:
        super().__init__(folder / "signing", database, dns=dns, sink_port=sink_port, workers=1, profile=False)
        self.name = f"mailspool/{database}, signing"

    def start(self) -> None:
        super().start()
        self.mailspool.run(_KEY)


class SigningPostfix:
    """Debian's Postfix with its default settings, relaying to the sink, and Debian's OpenDKIM beside it."""

    name = "postfix+opendkim"

    def __init__(self, sink_port: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mailspool-opendkim-"))
        milter_port = free_port()
        (self._folder / "opendkim.conf").write_text(
            _CONFIG.format(port=milter_port, folder=self._folder, domain=DOMAIN)
        )
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key = self._folder / "s1.private"
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        for path in (self._folder, key):
            shutil.chown(path, "opendkim")
        self._milter = Daemon(
            "opendkim", [OPENDKIM, "-f", "-x", self._folder / "opendkim.conf"], self._folder / "opendkim.log"
        )
        self._milter_port = milter_port
        self._relay = PostfixServer(
            {"relayhost": f"[127.0.0.1]:{sink_port}", "smtpd_milters": f"inet:127.0.0.1:{milter_port}"}
        )
        self.port = self._relay.port

    def start(self) -> None:
        self._milter.start(lambda: is_listening(self._milter_port))
        self._relay.start()

    def stop(self) -> None:
        self._relay.stop()
        self._milter.stop(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def parts(self) -> dict[str, list[int]]:
        return {"postfix": [self._relay.daemon.pid], "opendkim": [self._milter.pid]}


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    if not can_run() or not Path(OPENDKIM).exists():
        print("bench: needs root, and: apt-get install --no-install-recommends postfix opendkim", file=sys.stderr)
        return 1
    with frame.place(None) as folder:
        found = _measured(options, folder)
    _show(found)
    rounds = {
        name: {number: [asdict(run) for run in all_of] for number, all_of in of.items()} for name, of in found.items()
    }
    frame.write({"cpus": os.cpu_count(), "rounds": rounds}, options.json)
    print(f"\nAll figures: {options.json}")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.signing", description="What signing costs.")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--sessions", type=lambda text: [int(word) for word in text.split(",")], default=[10, 50])
    parser.add_argument("--messages", type=int, default=2000, help="messages in each run (default 2000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each system and number of sessions (default 5)")
    parser.add_argument("--size", type=int, default=4096, help="bytes of body (default 4096)")
    parser.add_argument("--json", type=Path, default=Path("var/bench/signing.json"), help="file of all figures")
    return parser.parse_args(arguments)


Runs = dict[str, dict[int, list[runs.Relayed]]]


def _measured(options: argparse.Namespace, folder: Path) -> Runs:
    sink, found = SmtpSink(folder), Runs()
    started: list[Racer] = []
    with dns_of(SINK_DOMAIN) as dns:
        how = {"dns": dns.address, "sink_port": sink.port}
        try:
            for system in (
                SigningMailspool(folder, options.database, **how),
                MailspoolSystem(folder, options.database, **how, workers=1, profile=False),
                SigningPostfix(sink.port),
            ):
                started.append(system)
                system.start()
            for system in started:
                _prove(system, sink.port, signs=system.name.endswith(("signing", "opendkim")))
            sink.start()
            for system in started:
                # Caches, connections and statements are warm in a server that has run for a while.
                runs.relay(system, sink, 300, 10, options.size)
            for sessions in options.sessions:
                for number in range(options.rounds):
                    start = number % len(started)
                    for system in started[start:] + started[:start]:
                        run = runs.relay(system, sink, options.messages, sessions, options.size)
                        found.setdefault(system.name, {}).setdefault(sessions, []).append(run)
                        print(f"{system.name:26} {sessions:3} sessions: {run.relayed_per_second:6.0f}/s", flush=True)
        finally:
            for system in started:
                system.stop()
            sink.stop()
    return found


def _prove(system: Racer, sink_port: int, *, signs: bool) -> None:
    """Raises RuntimeError when what a system sends is not signed, or is, against its name."""
    to = f"someone@{SINK_DOMAIN}"
    with SmtpPeer(port=sink_port) as peer:
        with smtplib.SMTP("127.0.0.1", system.port, timeout=60) as client:
            client.sendmail(runs.SENDER, [to], a_message(to, runs.SENDER, size=1000))
        wait_until(lambda: peer.taken, f"{system.name} relayed one message", 60)
        if (b"DKIM-Signature:" in peer.taken[0].content) is not signs:
            raise RuntimeError(f"{system.name} {'does not sign' if signs else 'signs'}")


def _show(found: Runs) -> None:
    """Rates and costs, and the signing Mailspool by each of the others, round by round."""
    signing = next(name for name in found if name.endswith("signing"))
    for sessions in found[signing]:
        print(f"\n{sessions} sessions")
        for name, of in found.items():
            rates = [run.relayed_per_second for run in of[sessions]]
            cpu = statistics.median(sum(run.cpu_ms_per_message.values()) for run in of[sessions])
            pairs = zip(found[signing][sessions], of[sessions], strict=True)
            ratios = [ours.relayed_per_second / theirs.relayed_per_second for ours, theirs in pairs]
            beside = (
                ""
                if name == signing
                else f"; signing is {statistics.median(ratios):.2f} of it ({min(ratios):.2f} to {max(ratios):.2f})"
            )
            print(f"  {name:26} {statistics.median(rates):6.0f}/s, {cpu:5.2f} ms CPU a message{beside}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
