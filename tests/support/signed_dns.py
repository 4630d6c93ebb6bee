"""A signed DNS of the test's own, from the root on: NSD serves its zones, Unbound validates them by the root's key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.dnssec
import dns.dnssectypes
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.daemon import Daemon
from tests.support.nsd import ADDRESS, NSD
from tests.support.ports import free_port

ALGORITHM = dns.dnssectypes.Algorithm.ECDSAP256SHA256
# As spool.delivery.remote.validation tries it.
BAD_ZONE = "dnssec-failed.org"


class SignedDNS:
    """Zones below the root, and a resolver that validates; all are there before it is entered.

    With `permissive` the resolver answers what is badly signed as if it were not signed at all.
    """

    def __init__(self, folder: Path, *, permissive: bool = False, elsewhere: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self._folder = folder
        self._permissive = permissive
        # Unsigned zones that another server has, and its `host:port`.
        self._elsewhere = elsewhere or {}
        self._nsd = NSD(folder)
        self._key, self._other_key = _new_key(), _new_key()
        self._root: list[str] = []
        self._delegate(*self._elsewhere)
        self.zone(BAD_ZONE, broken=True)
        self._daemon = Daemon("unbound", ["unbound", "-d", "-c", folder / "unbound.conf"], folder / "unbound.log")

    @property
    def address(self) -> str:
        """`host:port`, as MAILSPOOL_DNS wants it."""
        return f"{ADDRESS}:{self.port}"

    def zone(
        self,
        zone: str,
        records: Sequence[str] = (),
        *,
        signed: bool = True,
        broken: bool = False,
        tampered: Sequence[str] = (),
        misshapen: Sequence[str] = (),
    ) -> None:
        """Serve a zone below the root: signed, or not, or by another key than the root tells of (`broken`).

        Records of the type TLSA at the names in `tampered` are changed after they were signed; those in `misshapen` get
        one more, whose digest is too short.
        """
        signer = self._other_key if broken else self._key
        plain = _plain(zone, records).to_text(relativize=False)
        text = _signed(zone, records, signer, tampered, misshapen) if signed else plain
        self._nsd.serve_text(zone, text)
        self._delegate(zone)
        if signed:
            self._root.append(f"{zone}. 60 IN DS {dns.dnssec.make_ds(_name(zone), self._key[1], 'SHA256').to_text()}")

    def _delegate(self, *zones: str) -> None:
        for zone in zones:
            self._root += [f"{zone}. 60 IN NS ns.{zone}.", f"ns.{zone}. 60 IN A {ADDRESS}"]

    def __enter__(self) -> Self:
        self._nsd.serve_text(".", _signed("", self._root, self._key))
        self._nsd.__enter__()
        stubs = {".": self._nsd.address} | {f"{zone}.": address for zone, address in self._elsewhere.items()}
        (self._folder / "unbound.conf").write_text(
            f'server:\n  interface: {ADDRESS}@{self.port}\n  username: ""\n  chroot: ""\n'
            f'  directory: "{self._folder}"\n'
            f'  pidfile: ""\n  use-syslog: no\n  do-daemonize: no\n  do-ip6: no\n  do-not-query-localhost: no\n'
            f"  qname-minimisation: no\n  verbosity: 1\n  val-log-level: 2\n"
            f"  val-permissive-mode: {'yes' if self._permissive else 'no'}\n"
            f'  trust-anchor: ". 60 IN DS {dns.dnssec.make_ds(dns.name.root, self._key[1], "SHA256").to_text()}"\n'
            f"remote-control:\n  control-enable: no\n"
            + "".join(
                f'stub-zone:\n  name: "{zone}"\n  stub-addr: {address.replace(":", "@")}\n'
                for zone, address in stubs.items()
            ),
            encoding="utf-8",
        )
        self._daemon.start(self._validates)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._daemon.stop()
        self._nsd.__exit__(kind, error, trace)

    def _validates(self) -> bool:
        try:
            question = dns.message.make_query(".", "NS", flags=dns.flags.RD | dns.flags.AD)
            return bool(dns.query.udp(question, ADDRESS, 1.0, port=self.port).flags & dns.flags.AD)
        except (dns.exception.DNSException, OSError):
            return False


def _new_key() -> tuple[ec.EllipticCurvePrivateKey, dns.dnssec.DNSKEY]:
    private = ec.generate_private_key(ec.SECP256R1())
    return private, dns.dnssec.make_dnskey(private.public_key(), ALGORITHM, flags=257)


def _name(zone: str) -> dns.name.Name:
    return dns.name.from_text(f"{zone}.")


def _plain(zone: str, records: Sequence[str]) -> dns.zone.Zone:
    dotted = f".{zone}." if zone else "."
    own = [
        f"$ORIGIN {zone}.",
        "$TTL 60",
        f"@ IN SOA ns{dotted} root{dotted} 1 3600 600 86400 60",
        f"@ IN NS ns{dotted}",
        f"ns IN A {ADDRESS}",
    ]
    return dns.zone.from_text("\n".join([*own, *records]) + "\n", _name(zone), relativize=False)


def _signed(
    zone: str,
    records: Sequence[str],
    key: tuple[ec.EllipticCurvePrivateKey, dns.dnssec.DNSKEY],
    tampered: Sequence[str] = (),
    misshapen: Sequence[str] = (),
) -> str:
    served = _plain(zone, records)
    for name in misshapen:
        # dnspython makes none of its own accord.
        short = dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.TLSA, bytes([3, 1, 1]) + bytes(20))
        served.find_rdataset(name, dns.rdatatype.TLSA, create=True).add(short, 60)
    dns.dnssec.sign_zone(served, keys=[key], lifetime=86400)
    for name in tampered:
        found = served.find_rdataset(name, dns.rdatatype.TLSA)
        [record] = list(found)
        flipped = record.replace(cert=bytes([record.cert[0] ^ 1]) + record.cert[1:])
        served.replace_rdataset(name, dns.rdataset.from_rdata(found.ttl, flipped))
    return str(served.to_text(relativize=False))
