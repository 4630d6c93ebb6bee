"""What the records of each purpose say, in a sentence for an administrator."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from hashlib import sha256, sha512
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from base.dns_texts import tags_of
from base.name_servers import NoAnswer
from base.phrases import first_few
from mailspool.dns_records.asking import addresses_of
from mailspool.dns_records.host import Host
from mailspool.dns_records.records import Verdict, missing, optional, right, unknown, wrong
from quarantine.engines.authentication import spf_by_record
from spool.delivery.policies import State, parse_record

_DMARC: Final = re.compile(r"v\s*=\s*DMARC1\s*(;|$)")
_TLSRPT: Final = re.compile(r"v=TLSRPTv1\s*(;|$)")
_STS: Final = re.compile(r"v=STSv1[ \t]*(;|$)")
_OF_OTHERS: Final = re.compile(r"[-~?+]?all|redirect=.*", re.IGNORECASE)
_WISHES: Final = {
    "none": "It asks receivers to do nothing yet: p=quarantine or p=reject protects the name.",
    "quarantine": "Receivers are to treat mail that fails as spam.",
    "reject": "Receivers are to refuse mail that fails.",
}
_MOST_SHOWN: Final = 5


def mx(records: Sequence[str], domain: str, host: Host) -> Verdict:
    """Where mail for a domain goes (RFC 5321 5.1, RFC 7505)."""
    named = sorted((int(number), name) for number, _, name in (record.partition(" ") for record in records))
    names = [name for _, name in named]
    if not names:
        return missing(f"Mail for {domain} finds no mail server.")
    if "" in names or "." in names:
        return wrong(f"It says that {domain} takes no mail (null MX).")
    if host.name in names:
        behind = [name for name in names if name != host.name]
        if not behind or names[0] == host.name:
            return right(f"Mail for {domain} comes here.")
        return right(f"Mail for {domain} comes here where {names[0]} is away.")
    for name in names[:_MOST_SHOWN]:
        if _is_address(name):
            return wrong(f"It names the address {name}: an MX has to name a host.")
        try:
            if set(addresses_of(name)) & set(host.addresses):
                return right(f"Mail for {domain} comes here, to {name}.")
        except NoAnswer as error:
            return unknown(f"{error}.")
    return wrong(f"Mail for {domain} goes to {first_few(names, _MOST_SHOWN)}, and not here.")


def spf(records: Sequence[str], domain: str, host: Host, mechanism: str) -> Verdict:
    """Whether mail from here passes (RFC 7208). `mechanism` is what has to be added to a record where it does not."""
    policies = [text for text in records if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
    if not policies:
        return missing(f"Nobody can tell who may send mail of {domain}.")
    if len(policies) > 1:
        return wrong(f"There are {len(policies)} SPF records, so none of them counts: keep one.")
    [policy] = policies
    terms = policy.lower().split()
    if "+all" in terms or "all" in terms:
        return wrong("It lets everybody send (+all).", " ".join([*_without_all(policy), "-all"]))
    if not host.sending:
        return unknown("There is one. Whether mail from here passes can't be told: this host has no public address.")
    for address in host.sending:
        result, text = spf_by_record(policy, address, domain, host.name)
        if result == "temperror":
            return unknown(f"The DNS gives no answer for what it refers to: {text}.")
        if result == "permerror":
            return wrong(f"Receivers can't use it: {text}.")
        if result != "pass":
            return wrong(f"Mail from {address} does not pass by it ({result}).", _with(policy, mechanism))
    return right(f"Mail from {first_few(list(host.sending), _MOST_SHOWN)} passes by it.")


def dmarc(records: Sequence[str], domain: str) -> Verdict:
    """What receivers are to do with mail that fails (RFC 9989)."""
    policies = [text for text in records if _DMARC.match(text)]
    if not policies:
        return missing(f"Large receivers want one, and anybody can send in the name of {domain}.")
    if len(policies) > 1:
        return wrong(f"There are {len(policies)} DMARC records, so none of them counts: keep one.")
    tags = tags_of(policies[0])
    wish = tags.get("p", "").lower()
    if wish not in _WISHES:
        return wrong(f"Its p= is {wish[:20] or 'missing'}, and has to be none, quarantine or reject.")
    unreported = "" if tags.get("rua") else " Nobody is asked to report who sends in its name (rua=)."
    return right(f"{_WISHES[wish]}{unreported}")


def mta_sts(records: Sequence[str], record_id: str) -> Verdict:
    """Whether others can see that our policy has changed (RFC 8461 3.1). Without one of ours `record_id` is empty."""
    marked = [text for text in records if _STS.match(text)]
    if not record_id:
        if not marked:
            return optional("No policy of our own is served: choose its mode in Settings.")
        return right("There is one, whose policy another server serves.")
    if not marked:
        return missing("The policy that is served here is not looked for without it.")
    found = parse_record(list(records))
    if found is None:
        return wrong(f"Receivers can't use it: keep one, with an id of letters and digits ({len(marked)} found).")
    if found != record_id:
        return wrong("Its id is that of another policy: receivers do not see that it has changed.")
    return right("Receivers find the policy that is served here.")


def tls_rpt(records: Sequence[str]) -> Verdict:
    """Who is told about TLS that failed (RFC 8460 3)."""
    marked = [text for text in records if _TLSRPT.match(text)]
    if not marked:
        return optional("Without it nobody tells you when TLS to this domain fails.")
    if len(marked) > 1:
        return wrong(f"There are {len(marked)} of them, so none counts: keep one.")
    to = tags_of(marked[0]).get("rua", "")
    if not re.match(r"(mailto:.+@|https://)", to):
        return wrong("Its rua= names no address: as rua=mailto:postmaster@…")
    return right(f"Reports go to {to[:100]}.")


def dnssec(records: Sequence[str], domain: str) -> Verdict:
    """Whether a zone is signed (RFC 4033), as its parent says."""
    if not records:
        return optional(f"{domain} is not signed by DNSSEC. DANE needs it; the rest goes without.")
    return right(f"{domain} is signed by DNSSEC.")


def addresses(records: Sequence[str], host: Host, kind: str) -> Verdict:
    """Whether the host's name leads to it."""
    if records:
        return right(f"{host.name} is {first_few(list(records), _MOST_SHOWN)}.")
    if kind == "AAAA":
        return optional(f"{host.name} has no IPv6 address.")
    if host.addresses:
        return optional(f"{host.name} has no IPv4 address: many servers can't send to it.")
    return missing(f"{host.name} has no address in the DNS: many servers refuse its mail.")


def unnamed(host: Host) -> Verdict:
    """Of a host that has no name which the DNS can know."""
    return wrong(f"{host.name} is no full host name: set MAILSPOOL_HOSTNAME, as mail.example.org.")


def ptr(records: Sequence[str], host: Host, address: str) -> Verdict:
    """Whether an address is called as the host greets others (RFC 5321 4.1.4, RFC 8601 3)."""
    name = host.called(address)
    if name in records:
        return right(f"{address} is called {name}, as it greets others.")
    if not records:
        return missing(f"{address} has no name: many servers refuse its mail. The provider of the address sets it.")
    called = first_few(list(records), _MOST_SHOWN)
    return wrong(f"{address} is called {called}, and greets as {name}. The provider of the address sets it.")


def tlsa(records: Sequence[str], certificate: x509.Certificate | None) -> Verdict:
    """Whether what others know of our certificate fits it (RFC 6698, RFC 7672): if not, they keep their mail."""
    if not records:
        return optional("Without it others can't tell by DNSSEC which certificate is right (DANE).")
    if certificate is None:
        return unknown("The certificate of the mail ports can't be compared with it: Settings names none.")
    if any(_fits(record, certificate) for record in records):
        return right("It fits the certificate of the mail ports.")
    # An authority's certificate (usage 2) is not looked at here.
    if any(record.startswith("2 ") for record in records):
        return unknown("It names an authority, which is not compared here.")
    return wrong("It does not fit the certificate of the mail ports: servers that honour DANE send nothing here.")


def resolver(state: State, *, honours_dane: bool) -> Verdict:
    """Whether DANE of other domains can be honoured by the resolver that this server asks (RFC 7672 2.2)."""
    if state is State.SILENT:
        return unknown("It does not answer for the root (. NS), so whether it validates (DNSSEC) is not known.")
    if state is State.VALIDATES:
        if honours_dane:
            return right("It validates (DNSSEC): what other domains say of their certificates is honoured (DANE).")
        return optional("It validates (DNSSEC). DANE of other domains is not honoured: Settings has it off.")
    if state is State.PERMISSIVE:
        return wrong("It answers what is badly signed, so DANE is not honoured: end its permissive mode.")
    if state is State.FOREIGN:
        return optional(
            "It is not on this machine, so its word on DNSSEC does not count and DANE is not honoured: run one here, or"
            " set MAILSPOOL_TRUST_DNS where the way to it is safe."
        )
    return optional(
        "It does not validate (DNSSEC), so DANE is not honoured: a resolver that does, as Unbound, mends that."
    )


def tlsa_of(certificate: x509.Certificate) -> str:
    """The record for a certificate's key (3 1 1: RFC 7671 5.1); it outlives a renewal with the same key."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {sha256(key).hexdigest()}"


def _fits(record: str, certificate: x509.Certificate) -> bool:
    usage, selector, matching, *pieces = record.split()
    whole = certificate.public_bytes(Encoding.DER)
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    data = {"0": whole, "1": key}.get(selector, b"")
    shown = {"0": data.hex(), "1": sha256(data).hexdigest(), "2": sha512(data).hexdigest()}.get(matching, "")
    return usage == "3" and bool(data) and "".join(pieces) == shown


def _with(policy: str, mechanism: str) -> str:
    """The policy with one more mechanism before what is said of all others."""
    terms = policy.split()
    others = (at for at, term in enumerate(terms) if _OF_OTHERS.fullmatch(term))
    place = next(others, len(terms))
    return " ".join([*terms[:place], mechanism, *terms[place:]])


def _without_all(policy: str) -> list[str]:
    return [term for term in policy.split() if term.lower() not in ("all", "+all")]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
