"""DANE (RFC 7672): a table of signed and unsigned zones with good and bad certificates, by Unbound, NSD and real TLS.

What has to become of each case follows from its parts by `_rule`, which knows nothing of the program.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256, sha512
from itertools import chain
from pathlib import Path

import pytest

from spool.delivery.remote import mta_sts, mx, validation
from spool.delivery.remote.dane.certificates import Mismatch, check, key_of
from spool.delivery.remote.dane.records import Record, Tlsa, usable
from spool.delivery.remote.mx import Exchangers
from spool.delivery.remote.tls_results import Session
from spool.delivery.remote.tls_sessions import Sessions
from spool.delivery.remote.validation import State
from spool.models.recipient import Outcome
from tests.spool.delivery_remote.conftest import Sending, Told
from tests.support import chains
from tests.support.chains import Certified, certified
from tests.support.dns import DNSServer
from tests.support.messages import a_leased_entry
from tests.support.signed_dns import SignedDNS
from tests.support.smtp_peer import SmtpPeer

WAITS, CLEAR, ENCRYPTED, PROVED = "waits", "clear", "(unverified)", "(verified by DANE)"
TLS_IP, CLEAR_IP = "127.0.0.1", "127.0.0.2"
DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda der: der,
    1: lambda der: sha256(der).digest(),
    2: lambda der: sha512(der).digest(),
}


@dataclass
class Presented:
    """What a host presents, and what is true of it. `vouched` says whether its chain leads to its authorities."""

    certificates: tuple[Certified, ...]
    names_host: bool = True
    vouched: bool = True
    shows_root: bool = True
    shows_intermediate: bool = True


ROOT = certified("Root", ca=True)
INTERMEDIATE = certified("Intermediate", ROOT, ca=True)
NO_AUTHORITY = certified("No authority", ROOT)
OTHER = certified("other.example", names=("other.example",))


def _issued(host: str, names: Sequence[str] | None = None, **wishes: object) -> tuple[Certified, ...]:
    shown = (host,) if names is None else tuple(names)
    return (certified(host, INTERMEDIATE, names=shown, **wishes), INTERMEDIATE, ROOT)  # type: ignore[arg-type]


# What a host may present, by its name and its domain.
PRESENTATIONS: dict[str, Callable[[str, str], Presented | None]] = {
    "good": lambda host, domain: Presented(_issued(host)),
    "expired": lambda host, domain: Presented(_issued(host, days=-1), vouched=False),
    "elsewhere": lambda host, domain: Presented(_issued("elsewhere.example"), names_host=False),
    "domain": lambda host, domain: Presented(_issued(domain)),
    "star": lambda host, domain: Presented(_issued("x", [f"*.{domain}"])),
    "wide-star": lambda host, domain: Presented(_issued("x", ["*.signed"]), names_host=domain.count(".") == 1),
    "subject": lambda host, domain: Presented(_issued(host, [])),
    "own": lambda host, domain: Presented((certified(host, names=(host,)),), vouched=False),
    "alone": lambda host, domain: Presented(_issued(host)[:1], shows_root=False, shows_intermediate=False),
    "no-root": lambda host, domain: Presented(_issued(host)[:2], shows_root=False),
    "clients": lambda host, domain: Presented(_issued(host, for_clients=True), vouched=False),
    "no-authority": lambda host, domain: Presented(
        (certified(host, NO_AUTHORITY, names=(host,)), NO_AUTHORITY, ROOT), vouched=False
    ),
    "clear": lambda host, domain: None,
}


@dataclass(frozen=True)
class Line:
    """One TLSA record: of the host's own certificate, of an authority, or of something else."""

    usage: int
    selector: int
    matching: int
    of: str = "own"
    malformed: bool = False

    def text(self, presented: Presented | None) -> str:
        own = presented.certificates[0] if presented is not None else OTHER
        named = {"own": own, "root": ROOT, "intermediate": INTERMEDIATE, "no-authority": NO_AUTHORITY}.get(
            self.of, OTHER
        )
        data = DIGESTS.get(self.matching, DIGESTS[1])(named.key_der if self.selector == 1 else named.der)
        return f"{self.usage} {self.selector} {self.matching} {(data[:-1] if self.malformed else data).hex()}"


def _rule(lines: Sequence[Line], presented: Presented | None, *, asked: bool = True, lost: bool = False) -> str:
    """What becomes of mail. `asked`: whether TLSA records are asked for; `lost`: there is no answer to that."""
    if asked and lost:
        return WAITS
    if not asked or not lines:
        return CLEAR if presented is None else ENCRYPTED
    if presented is None:
        return WAITS
    good = [line for line in lines if line.usage in (2, 3) and line.selector < 2 and line.matching < 3]
    good = [line for line in good if not line.malformed]
    if not good:
        return ENCRYPTED

    def is_weaker(line: Line) -> bool:
        same = [one.matching for one in good if (one.usage, one.selector) == (line.usage, line.selector)]
        return 0 < line.matching < max(same)

    def fits(line: Line) -> bool:
        if line.usage == 3:
            return line.of == "own"
        # What stands whole in the record need not be presented, as long as it certified something that is.
        whole = line.matching == 0
        known = {
            "root": presented.shows_root or (whole and presented.shows_intermediate),
            "intermediate": presented.shows_intermediate or whole,
        }
        return known.get(line.of, False) and presented.vouched and presented.names_host

    return PROVED if any(fits(line) and not is_weaker(line) for line in good) else WAITS


@dataclass
class Case:
    """Mail for `domain`, whose hosts the zone's lines name, and what has to become of it."""

    name: str
    domain: str
    expected: str
    why: str = ""
    # By name: what is presented to who asks for it (SNI).
    hosts: dict[str, Presented | None] = field(default_factory=dict)


@dataclass
class Table:
    """The zones' lines, and the cases in them."""

    port: int
    zones: dict[str, list[str]] = field(default_factory=dict)
    tampered: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    def host(self, host: str, domain: str, what: str, lines: Sequence[Line], *, base: str = "") -> Presented | None:
        """A host in the zone that is the last label of its name, and its TLSA records."""
        presented = PRESENTATIONS[what](host, domain)
        zone = self.zones.setdefault(host.rpartition(".")[2], [])
        zone.append(f"{host}. A {TLS_IP if presented is not None else CLEAR_IP}")
        self.tlsa(base or host, lines, presented)
        return presented

    def tlsa(self, base: str, lines: Sequence[Line], presented: Presented | None) -> None:
        zone = self.zones.setdefault(base.rpartition(".")[2], [])
        zone += [f"_{self.port}._tcp.{base}. TLSA {line.text(presented)}" for line in lines]

    def line(self, text: str) -> None:
        self.zones.setdefault(text.split(" ", maxsplit=1)[0].rstrip(".").rpartition(".")[2], []).append(text)

    def next_domain(self, zone: str) -> str:
        return f"c{len(self.cases)}.{zone}"

    def add(self, name: str, domain: str, expected: str, why: str = "", **hosts: Presented | None) -> None:
        names = {host.replace("__", "."): presented for host, presented in hosts.items()}
        self.cases.append(Case(name, domain, expected, why, names))

    def usual(self, zone: str, what: str, lines: Sequence[Line], *, asked: bool = True) -> None:
        """A domain with one MX in the same zone."""
        domain = self.next_domain(zone)
        host = f"mx.{domain}"
        presented = self.host(host, domain, what, lines)
        self.line(f"{domain}. MX 10 {host}.")
        shown = " + ".join(f"{one.usage} {one.selector} {one.matching} {one.of}" for one in lines) or "no record"
        self.cases.append(
            Case(f"{zone}, {what}, {shown}", domain, _rule(lines, presented, asked=asked), hosts={host: presented})
        )


EE, OWN_KEY, TA = Line(3, 0, 1), Line(3, 1, 1), Line(2, 0, 1, "root")
RECORD_SETS: list[tuple[Line, ...]] = [
    (),
    (EE,),
    (OWN_KEY,),
    (Line(3, 1, 2),),
    (Line(3, 1, 1, "other"),),
    (TA,),
    (Line(2, 1, 1, "intermediate"),),
    (Line(2, 0, 0, "root"),),
    (Line(2, 1, 0, "root"),),
    (Line(2, 1, 0, "intermediate"),),
    (Line(2, 0, 1, "other"),),
    (Line(1, 0, 1),),
]
# Of these one presentation is enough.
FURTHER_SETS: list[tuple[Line, ...]] = [
    (Line(3, 0, 0),),
    (Line(3, 1, 0),),
    (Line(3, 0, 2),),
    (Line(0, 0, 1, "root"),),
    (Line(3, 2, 1),),
    (Line(3, 1, 3),),
    (Line(4, 1, 1),),
    (Line(3, 1, 0, malformed=True),),
    (Line(3, 1, 0, malformed=True), Line(3, 1, 1, "other")),
    (Line(1, 1, 1, "other"), OWN_KEY),
    (Line(3, 1, 1, "other"), OWN_KEY),
    (Line(3, 1, 1, "other"), TA),
    (Line(3, 1, 1), Line(3, 1, 2, "other")),
    (Line(3, 1, 1, "other"), Line(3, 1, 2)),
    (Line(3, 1, 2, "other"), Line(3, 0, 1)),
    (Line(3, 1, 0), Line(3, 1, 2, "other")),
    (Line(2, 0, 1, "root"), Line(2, 0, 2, "other")),
]


# The first case in which a host is proved: good, with the digest of its certificate.
_PROVED_FIRST = RECORD_SETS.index((EE,))


def _the_table(port: int) -> Table:
    table = Table(port)
    for what in PRESENTATIONS:
        for lines in RECORD_SETS:
            table.usual("signed", what, lines)
    for lines in FURTHER_SETS:
        table.usual("signed", "good", lines)
    for what, lines in (("good", (Line(3, 1, 1, "other"),)), ("clear", (OWN_KEY,)), ("own", (OWN_KEY,))):
        table.usual("unsigned", what, lines, asked=False)
    _add_broken(table)
    _add_elsewhere(table)
    _add_aliases(table)
    return table


def _add_broken(table: Table) -> None:
    """Answers that are kept from us, or forged."""
    domain = table.next_domain("broken")
    presented = table.host(f"mx.{domain}", domain, "good", [OWN_KEY])
    table.line(f"{domain}. MX 10 mx.{domain}.")
    table.add("badly signed zone", domain, WAITS, "the DNS gave no answer")

    domain = table.next_domain("signed")
    host = f"mx.{domain}"
    presented = table.host(host, domain, "good", [OWN_KEY])
    table.tampered.append(f"_{table.port}._tcp.{host}.")
    table.line(f"{domain}. MX 10 {host}.")
    table.cases.append(Case("forged TLSA", domain, WAITS, "(DANE)", {host: presented}))

    domain = table.next_domain("signed")
    forged, good = f"a.{domain}", f"b.{domain}"
    first = table.host(forged, domain, "clear", [OWN_KEY])
    second = table.host(good, domain, "good", [OWN_KEY])
    table.tampered.append(f"_{table.port}._tcp.{forged}.")
    table.zones["signed"] += [f"{domain}. MX 10 {forged}.", f"{domain}. MX 20 {good}."]
    table.cases.append(Case("forged TLSA, and another host", domain, PROVED, "", {forged: first, good: second}))

    # With one record that nobody can read beside them.
    for lines in ((), (OWN_KEY,), (Line(3, 1, 1, "other"),)):
        domain = table.next_domain("signed")
        host = f"mx.{domain}"
        presented = table.host(host, domain, "good", lines)
        table.misshapen.append(f"_{table.port}._tcp.{host}.")
        table.line(f"{domain}. MX 10 {host}.")
        expected = _rule(lines, presented) if lines else ENCRYPTED
        table.cases.append(
            Case(f"misshapen TLSA and {len(lines)}, {expected}", domain, expected, "", {host: presented})
        )
    domain = table.next_domain("signed")
    host = f"mx.{domain}"
    table.host(host, domain, "clear", [])
    table.misshapen.append(f"_{table.port}._tcp.{host}.")
    table.line(f"{domain}. MX 10 {host}.")
    table.add("misshapen TLSA alone, in clear text", domain, WAITS)

    domain = table.next_domain("signed")
    table.line(f"{domain}. MX 10 mx.broken.")
    table.add("host in a badly signed zone", domain, WAITS, "the DNS gave no answer")


def _add_elsewhere(table: Table) -> None:
    """Hosts whose zone is another one than their domain's."""
    domain = table.next_domain("signed")
    host = f"mx.{domain.replace('.', '-')}.unsigned"
    presented = table.host(host, domain, "clear", [OWN_KEY])
    table.line(f"{domain}. MX 10 {host}.")
    table.cases.append(Case("host in an unsigned zone", domain, CLEAR, "", {host: presented}))

    domain = table.next_domain("unsigned")
    host = f"mx.{domain.replace('.', '-')}.signed"
    presented = table.host(host, domain, "good", [Line(3, 1, 1, "other")])
    table.line(f"{domain}. MX 10 {host}.")
    table.cases.append(Case("host of an unsigned domain", domain, ENCRYPTED, "", {host: presented}))

    # Its server has no answer to questions for TLSA, and is never asked one.
    domain = table.next_domain("signed")
    table.line(f"{domain}. MX 10 mx.silent.")
    table.add("host in an unsigned zone that fails", domain, CLEAR)

    domain = table.next_domain("signed")
    presented = table.host(domain, domain, "good", [TA])
    table.cases.append(Case("no MX", domain, PROVED, "", {domain: presented}))

    domain = table.next_domain("signed")
    presented = table.host(domain, domain, "good", [Line(3, 1, 1, "other")])
    table.cases.append(Case("no MX, wrong", domain, WAITS, "", {domain: presented}))

    domain = table.next_domain("unsigned")
    shared = f"mx.{table.cases[_PROVED_FIRST].domain}"
    table.line(f"{domain}. MX 10 {shared}.")
    table.add("unsigned domain with a host of a signed one", domain, ENCRYPTED)

    # Of the hosts of a domain each has its own word.
    domain = table.next_domain("signed")
    wrong, right = f"a.{domain}", f"b.{domain}"
    first = table.host(wrong, domain, "good", [Line(3, 1, 1, "other")])
    second = table.host(right, domain, "good", [])
    table.zones["signed"] += [f"{domain}. MX 10 {wrong}.", f"{domain}. MX 20 {right}."]
    table.cases.append(Case("the second host has no TLSA", domain, ENCRYPTED, "", {wrong: first, right: second}))


def _add_aliases(table: Table) -> None:
    """Names of hosts and domains that are aliases (RFC 7672 2.1.3, 2.2.3, 3.2.2)."""
    for at_target, at_alias, target_zone, expected in (
        ((OWN_KEY,), (), "signed", PROVED),
        ((OWN_KEY,), (Line(3, 1, 1, "other"),), "signed", PROVED),
        ((Line(3, 1, 1, "other"),), (OWN_KEY,), "signed", WAITS),
        ((), (OWN_KEY,), "signed", PROVED),
        ((), (Line(3, 1, 1, "other"),), "signed", WAITS),
        ((), (OWN_KEY,), "unsigned", PROVED),
        ((Line(3, 1, 1, "other"),), (), "unsigned", ENCRYPTED),
        ((), (Line(3, 1, 1, "other"),), "unsigned", WAITS),
    ):
        domain = table.next_domain("signed")
        alias, target = f"mx.{domain}", f"t.{domain.replace('.', '-')}.{target_zone}"
        presented = table.host(target, domain, "good", at_target)
        table.tlsa(alias, at_alias, presented)
        table.zones["signed"] += [f"{domain}. MX 10 {alias}.", f"{alias}. CNAME {target}."]
        name = f"alias into {target_zone}: {len(at_target)} there, {len(at_alias)} here, {expected}"
        table.cases.append(Case(name, domain, expected, "", {alias: presented, target: presented}))

    # The domain is an alias: both of its names count for an authority, and that of the host.
    for what in ("domain", "target", "elsewhere"):
        domain = table.next_domain("signed")
        target = f"real-{domain}"
        host = f"h.{target}"
        presented = table.host(
            host, target if what == "target" else domain, "domain" if what != "elsewhere" else what, [TA]
        )
        table.zones["signed"] += [f"{domain}. CNAME {target}.", f"{target}. MX 10 {host}."]
        table.cases.append(
            Case(f"domain is an alias, {what}", domain, WAITS if what == "elsewhere" else PROVED, "", {host: presented})
        )


@dataclass
class World:
    """The table's servers."""

    dns: SignedDNS
    table: Table
    encrypting: SmtpPeer
    clear: SmtpPeer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("dane")
    with SmtpPeer(TLS_IP) as encrypting, SmtpPeer(CLEAR_IP, encrypting.port) as clear, DNSServer() as failing:
        failing.add("mx.silent", "A", CLEAR_IP)
        failing.add("silent", "SOA", "ns.silent. root.silent. 1 3600 600 86400 60")
        failing.fail(f"_{encrypting.port}._tcp.mx.silent", "SERVFAIL")
        table = _the_table(encrypting.port)
        encrypting.tls = _by_name(folder, table)
        dns = SignedDNS(folder, elsewhere={"silent": failing.address})
        dns.zone("signed", table.zones["signed"], tampered=table.tampered, misshapen=table.misshapen)
        dns.zone("unsigned", table.zones["unsigned"], signed=False)
        dns.zone("broken", [*table.zones["broken"], "mx A 127.0.0.1"], broken=True)
        with dns:
            yield World(dns, table, encrypting, clear)


def _by_name(folder: Path, table: Table) -> ssl.SSLContext:
    """A server that presents what belongs to the name that it is asked for."""
    presented = dict(chain.from_iterable(case.hosts.items() for case in table.cases))
    contexts = {
        name: chains.server(folder / f"{name}.pem", *one.certificates)
        for name, one in presented.items()
        if one is not None
    }

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext) -> None:
        if name in contexts:
            connection.context = contexts[name]

    first = chains.server(folder / "nobody.pem", OTHER)
    first.sni_callback = choose  # type: ignore[assignment]
    return first


class Heard(Sessions):
    """Keeps what reports would be made of (RFC 8460), and writes nothing."""

    def __init__(self) -> None:
        super().__init__(lambda write: None)
        self.configure(is_on=True)
        self.of_domain: dict[str, list[tuple[str, str]]] = {}

    def count(self, session: Session) -> None:
        said = session.policy.kind.value, session.result.value
        self.of_domain.setdefault(session.domain, []).append(said)
        assert bool(session.policy.strings) or said[0] != "tlsa" or said[1] in ("dnssec-invalid", "tlsa-invalid")


def _send(
    world: World, spooled: Path, domains: Sequence[str], heard: Heard | None = None, **settings: object
) -> dict[str, Told]:
    entries = [a_leased_entry(spooled, to=f"bob@{domain}") for domain in domains]

    async def run() -> list[Told]:
        async with Sending(world.dns.address, {}, smtp_out_port=world.encrypting.port, **settings) as sending:
            sending.transport.sessions = heard or sending.transport.sessions
            sending.put(*entries)
            await sending.all_told(120)
            return [sending.told[entry.id] for entry in entries]

    mta_sts.forget()
    return dict(zip(domains, asyncio.run(run()), strict=True))


def _became(told: Told) -> str:
    if told.only.outcome is not Outcome.DELIVERED:
        assert told.only.outcome is Outcome.PENDING
        return WAITS
    tls = told.attempts[-1].tls
    return tls[tls.index("(") :] if tls else CLEAR


def test_no_case_of_the_table_is_a_downgrade_or_a_false_refusal(
    world: World, spooled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long a question waits whose answer can't be read at first.
    monkeypatch.setattr(mx, "LOOKUP_SECONDS", 6.0)
    cases = world.table.cases
    assert len(cases) > 150
    sessions = Heard()
    told = _send(world, spooled, [case.domain for case in cases], sessions)
    wrong = [
        f"{case.name}: {_became(told[case.domain])}, not {case.expected} ({told[case.domain].only.reply})"
        for case in cases
        if _became(told[case.domain]) != case.expected or case.why not in told[case.domain].only.reply
    ]
    assert wrong == []
    # As the hosts have it: nothing of a message came before its host was proved, nor in clear text where that was due.
    taken = {
        address.partition("@")[2]: message.encrypted
        for message in (*world.encrypting.taken, *world.clear.taken)
        for address in message.recipients
    }
    assert taken == {case.domain: case.expected != CLEAR for case in cases if case.expected != WAITS}
    counted = {case.domain: sessions.of_domain.get(case.domain, []) for case in cases}
    ends = {PROVED: {("tlsa", "")}, CLEAR: {("no-policy-found", "starttls-not-supported")}}
    ends[ENCRYPTED] = {("no-policy-found", ""), ("tlsa", "tlsa-invalid")}
    for case in cases:
        found = counted[case.domain]
        if case.expected == WAITS:
            assert all(result for _, result in found), f"{case.name}: {found}"
        else:
            assert found[-1:] and found[-1] in ends[case.expected], f"{case.name}: {found}"
    results = {result for found in counted.values() for _, result in found}
    assert results >= {"", "validation-failure", "starttls-not-supported", "tlsa-invalid", "dnssec-invalid"}
    heard = "\n".join((*world.encrypting.commands, *world.clear.commands))
    assert not [case.name for case in cases if case.expected == WAITS and f"@{case.domain}>" in heard]


def test_a_connection_that_proves_nothing_is_not_handed_on_to_a_domain_that_asks_for_proof(
    world: World, spooled: Path
) -> None:
    [plain] = [case for case in world.table.cases if case.name == "unsigned domain with a host of a signed one"]
    signed = world.table.cases[_PROVED_FIRST]

    async def run() -> list[str]:
        async with Sending(world.dns.address, {}, smtp_out_port=world.encrypting.port) as sending:
            domains = (plain.domain, signed.domain, plain.domain)
            return [_became(*await sending.send(a_leased_entry(spooled, to=f"bob@{domain}"))) for domain in domains]

    assert asyncio.run(run()) == [ENCRYPTED, PROVED, ENCRYPTED]


def test_who_does_not_want_it_sends_as_before(world: World, spooled: Path) -> None:
    [case] = [case for case in world.table.cases if case.name == "signed, good, 3 1 1 other"]
    told = _send(world, spooled, [case.domain], honour_dane=False)
    assert _became(told[case.domain]) == ENCRYPTED


def test_a_required_certificate_gives_way_to_dane_only_where_dane_proves_it(world: World, spooled: Path) -> None:
    by_name = {case.name: case.domain for case in world.table.cases}
    own, unusable = by_name["signed, own, 3 1 1 own"], by_name["signed, good, 1 0 1 own"]
    told = _send(world, spooled, [own, unusable], tls_policy="verify")
    assert [_became(told[domain]) for domain in (own, unusable)] == [PROVED, WAITS]


def _sent_with(world: World, spooled: Path, wish: str, *names: str) -> list[tuple[str, str]]:
    """What became of mail with that wish in cases of the table: as `_became`, or its status, and the reply."""
    entries = [
        a_leased_entry(spooled, to=f"bob@{case.domain}", tls_wish=wish)
        for name in names
        for case in world.table.cases
        if case.name == name
    ]

    async def run() -> list[Told]:
        async with Sending(world.dns.address, {}, smtp_out_port=world.encrypting.port) as sending:
            return await sending.send(*entries)

    mta_sts.forget()
    return [
        (told.only.status_code if told.only.outcome is Outcome.BOUNCED else _became(told), told.only.reply)
        for told in asyncio.run(run())
    ]


def test_mail_that_requires_tls_goes_to_proved_hosts_that_promise_it_or_comes_back(
    world: World, spooled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = "signed, good, 3 1 1 own", "signed, good, 3 1 1 other", "signed, good, 1 0 1 own", "signed, good, no record"
    [proved, wrong, unusable, nothing] = _sent_with(world, spooled, "required", *cases)
    assert proved[0] == "5.7.30" and "does not promise to send on over TLS alone" in proved[1]
    assert wrong[0] == WAITS
    assert unusable[0] == nothing[0] == "5.7.30" and "nothing proves the mail hosts" in nothing[1]
    monkeypatch.setattr(world.encrypting, "features", [*world.encrypting.features, "REQUIRETLS"])
    before = len(world.encrypting.commands)
    assert [one[0] for one in _sent_with(world, spooled, "required", *cases)] == [PROVED, WAITS, "5.7.30", "5.7.30"]
    mails = [line for line in world.encrypting.commands[before:] if line.startswith("MAIL")]
    assert len(mails) == 1 and mails[0].endswith(" REQUIRETLS")
    # Other mail on the way there does not ask for it.
    assert _sent_with(world, spooled, "", cases[0])[0][0] == PROVED
    assert "REQUIRETLS" not in [line for line in world.encrypting.commands if line.startswith("MAIL")][-1]


def test_what_a_domain_says_of_itself_does_not_count_where_the_sender_does_not_need_tls(
    world: World, spooled: Path
) -> None:
    cases = "signed, good, 3 1 1 other", "forged TLSA", "signed, clear, 3 1 1 own"
    assert [one[0] for one in _sent_with(world, spooled, "optional", *cases)] == [ENCRYPTED, ENCRYPTED, CLEAR]


def _state(address: str) -> State:
    async def ask() -> State:
        return await Exchangers("mail.test", address).validation.state()

    return asyncio.run(ask())


def test_a_resolver_is_believed_only_when_it_is_ours_and_validates(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _state(world.dns.address) is State.VALIDATES
    with DNSServer() as plain:
        assert _state(plain.address) is State.PLAIN
    with SignedDNS(tmp_path, permissive=True) as permissive:
        assert _state(permissive.address) is State.PERMISSIVE
    assert _state("192.0.2.1:53") is State.FOREIGN
    monkeypatch.setattr(validation, "QUESTION_SECONDS", 0.2)
    with DNSServer() as silent:
        silent.fail("", "DROP")
        assert _state(silent.address) is State.SILENT


def test_a_flag_from_a_resolver_elsewhere_counts_for_nothing(
    world: World, spooled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a router that passes on what it hears."""
    monkeypatch.setattr("spool.delivery.remote.validation.is_ours", lambda resolver: False)
    [case] = [case for case in world.table.cases if case.name == "signed, good, 3 1 1 own"]
    told = _send(world, spooled, [case.domain])
    assert _became(told[case.domain]) == ENCRYPTED


def test_many_digests_cost_no_more_than_a_few() -> None:
    records = [Record(3, 1, 1, bytes([number % 256, number // 256]) * 16) for number in range(5000)]
    assert len(usable(records)) == 50


@pytest.mark.parametrize(
    "certificate", [b"", b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x01", OTHER.der[:200]]
)
def test_what_is_no_certificate_is_no_match(certificate: bytes) -> None:
    with pytest.raises(ValueError):
        key_of(certificate)
    for usage in (2, 3):
        with pytest.raises(Mismatch):
            check(Tlsa("mx.test", ("mx.test",), (Record(usage, 1, 1, bytes(32)),)), [certificate])


def test_the_key_is_read_as_it_is_spelt() -> None:
    assert key_of(OTHER.der) == OTHER.key_der
