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
from base.facts import fact, few, whole
from base.name_servers import NoAnswer
from mailspool.dns_records.asking import addresses_of
from mailspool.dns_records.host import Host
from mailspool.dns_records.records import Verdict, missing, optional, right, unknown, wrong
from quarantine.engines.authentication import spf_by_record
from spool.delivery.policies import State, parse_record

IS_DMARC: Final = re.compile(r"v\s*=\s*DMARC1\s*(;|$)")
_TLSRPT: Final = re.compile(r"v=TLSRPTv1\s*(;|$)")
_STS: Final = re.compile(r"v=STSv1[ \t]*(;|$)")
_OF_OTHERS: Final = re.compile(r"[-~?+]?all|redirect=.*", re.IGNORECASE)
_WISHES: Final = {
    "none": fact("It asks receivers to do nothing yet: p=quarantine or p=reject protects the name."),
    "quarantine": fact("Receivers are to treat mail that fails as spam."),
    "reject": fact("Receivers are to refuse mail that fails."),
}
_MOST_SHOWN: Final = 5


def mx(records: Sequence[str], domain: str, host: Host) -> Verdict:
    """Where mail for a domain goes (RFC 5321 5.1, RFC 7505)."""
    names = exchanges(records)
    if not names:
        return missing(fact("Mail for %(domain)s finds no mail server.", domain=domain))
    if "" in names or "." in names:
        return wrong(fact("It says that %(domain)s takes no mail (null MX).", domain=domain))
    if host.name in names:
        behind = [name for name in names if name != host.name]
        if not behind or names[0] == host.name:
            return right(fact("Mail for %(domain)s comes here.", domain=domain))
        return right(fact("Mail for %(domain)s comes here where %(host)s is away.", domain=domain, host=names[0]))
    for name in names[:_MOST_SHOWN]:
        if _is_address(name):
            return wrong(fact("It names the address %(name)s: an MX has to name a host.", name=name))
        try:
            if set(addresses_of(name)) & set(host.addresses):
                return right(fact("Mail for %(domain)s comes here, to %(name)s.", domain=domain, name=name))
        except NoAnswer as error:
            return unknown(whole(error.fact))
    return wrong(
        fact("Mail for %(domain)s goes to %(hosts)s, and not here.", domain=domain, hosts=few(names, _MOST_SHOWN))
    )


def exchanges(records: Sequence[str]) -> list[str]:
    """The hosts that MX records name, in the order in which they are tried."""
    return [
        name for _, name in sorted((int(number), name) for number, _, name in (one.partition(" ") for one in records))
    ]


def not_in_policy(hosts: Sequence[str]) -> Verdict:
    """Of hosts that our own MTA-STS policy leaves out (RFC 8461 4.1)."""
    return wrong(
        fact(
            "Who heeds the MTA-STS policy of this server sends nothing to %(hosts)s: Settings says which hosts it"
            " names.",
            hosts=few(hosts, _MOST_SHOWN),
        )
    )


def spf(records: Sequence[str], domain: str, host: Host, mechanism: str) -> Verdict:
    """Whether mail from here passes (RFC 7208). `mechanism` is what has to be added to a record where it does not."""
    policies = [text for text in records if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
    if not policies:
        return missing(fact("Nobody can tell who may send mail of %(domain)s.", domain=domain))
    if len(policies) > 1:
        return wrong(fact("There are %(number)s SPF records, so none of them counts: keep one.", number=len(policies)))
    [policy] = policies
    terms = policy.lower().split()
    if "+all" in terms or "all" in terms:
        return wrong(fact("It lets everybody send (+all)."), " ".join([*_without_all(policy), "-all"]))
    if not host.sending:
        return unknown(
            fact("There is one. Whether mail from here passes can't be told: this host has no public address.")
        )
    for address in host.sending:
        result, text = spf_by_record(policy, address, domain, host.name)
        if result == "temperror":
            return unknown(fact("The DNS gives no answer for what it refers to: %(text)s.", text=text))
        if result == "permerror":
            return wrong(fact("Receivers can't use it: %(text)s.", text=text))
        if result != "pass":
            return wrong(
                fact("Mail from %(address)s does not pass by it (%(result)s).", address=address, result=result),
                _with(policy, mechanism),
            )
    return right(fact("Mail from %(addresses)s passes by it.", addresses=few(host.sending, _MOST_SHOWN)))


def dmarc(records: Sequence[str], domain: str) -> Verdict:
    """What receivers are to do with mail that fails (RFC 9989)."""
    policies = [text for text in records if IS_DMARC.match(text)]
    if not policies:
        return missing(fact("Large receivers want one, and anybody can send in the name of %(domain)s.", domain=domain))
    if len(policies) > 1:
        return wrong(
            fact("There are %(number)s DMARC records, so none of them counts: keep one.", number=len(policies))
        )
    tags = tags_of(policies[0])
    wish = tags.get("p", "").lower()
    if wish not in _WISHES:
        if not wish:
            return wrong(fact("Its p= is missing, and has to be none, quarantine or reject."))
        return wrong(fact("Its p= is %(wish)s, and has to be none, quarantine or reject.", wish=wish[:20]))
    if tags.get("rua"):
        return right(_WISHES[wish])
    return right(fact("%(wish)s Nobody is asked to report who sends in its name (rua=).", wish=_WISHES[wish]))


def mta_sts(records: Sequence[str], record_id: str) -> Verdict:
    """Whether others can see that our policy has changed (RFC 8461 3.1). Without one of ours `record_id` is empty."""
    marked = [text for text in records if _STS.match(text)]
    if not record_id:
        if not marked:
            return optional(fact("No policy of our own is served: choose its mode in Settings."))
        return right(fact("There is one, whose policy another server serves."))
    if not marked:
        return missing(fact("The policy that is served here is not looked for without it."))
    found = parse_record(list(records))
    if found is None:
        return wrong(
            fact(
                "Receivers can't use it: keep one, with an id of letters and digits (%(number)s found).",
                number=len(marked),
            )
        )
    if found != record_id:
        return wrong(fact("Its id is that of another policy: receivers do not see that it has changed."))
    return right(fact("Receivers find the policy that is served here."))


def tls_rpt(records: Sequence[str]) -> Verdict:
    """Who is told about TLS that failed (RFC 8460 3)."""
    marked = [text for text in records if _TLSRPT.match(text)]
    if not marked:
        return optional(fact("Without it nobody tells you when TLS to this domain fails."))
    if len(marked) > 1:
        return wrong(fact("There are %(number)s of them, so none counts: keep one.", number=len(marked)))
    to = tags_of(marked[0]).get("rua", "")
    if not re.match(r"(mailto:.+@|https://)", to):
        return wrong(fact("Its rua= names no address: as rua=mailto:postmaster@…"))
    return right(fact("Reports go to %(to)s.", to=to[:100]))


def dnssec(records: Sequence[str], domain: str) -> Verdict:
    """Whether a zone is signed (RFC 4033), as its parent says."""
    if not records:
        return optional(
            fact("%(domain)s is not signed by DNSSEC. DANE needs it; the rest goes without.", domain=domain)
        )
    return right(fact("%(domain)s is signed by DNSSEC.", domain=domain))


def addresses(records: Sequence[str], host: Host, kind: str) -> Verdict:
    """Whether the host's name leads to it."""
    if records:
        return right(fact("%(host)s is %(addresses)s.", host=host.name, addresses=few(records, _MOST_SHOWN)))
    if kind == "AAAA":
        return optional(fact("%(host)s has no IPv6 address.", host=host.name))
    if host.addresses:
        return optional(fact("%(host)s has no IPv4 address: many servers can't send to it.", host=host.name))
    return missing(fact("%(host)s has no address in the DNS: many servers refuse its mail.", host=host.name))


def unnamed(host: Host) -> Verdict:
    """Of a host that has no name which the DNS can know."""
    return wrong(fact("%(host)s is no full host name: set MAILSPOOL_HOSTNAME, as mail.example.org.", host=host.name))


def ptr(records: Sequence[str], host: Host, address: str) -> Verdict:
    """Whether an address is called as the host greets others (RFC 5321 4.1.4, RFC 8601 3)."""
    name = host.called(address)
    if name in records:
        return right(fact("%(address)s is called %(name)s, as it greets others.", address=address, name=name))
    if not records:
        return missing(
            fact(
                "%(address)s has no name: many servers refuse its mail. The provider of the address sets it.",
                address=address,
            )
        )
    return wrong(
        fact(
            "%(address)s is called %(called)s, and greets as %(name)s. The provider of the address sets it.",
            address=address,
            called=few(records, _MOST_SHOWN),
            name=name,
        )
    )


def tlsa(records: Sequence[str], certificate: x509.Certificate | None) -> Verdict:
    """Whether what others know of our certificate fits it (RFC 6698, RFC 7672): if not, they keep their mail."""
    if not records:
        return optional(fact("Without it others can't tell by DNSSEC which certificate is right (DANE)."))
    if certificate is None:
        return unknown(fact("The certificate of the mail ports can't be compared with it: Settings names none."))
    if any(_fits(record, certificate) for record in records):
        return right(fact("It fits the certificate of the mail ports."))
    # An authority's certificate (usage 2) is not looked at here.
    if any(record.startswith("2 ") for record in records):
        return unknown(fact("It names an authority, which is not compared here."))
    return wrong(fact("It does not fit the certificate of the mail ports: servers that honour DANE send nothing here."))


def resolver(state: State, *, honours_dane: bool) -> Verdict:
    """Whether DANE of other domains can be honoured by the resolver that this server asks (RFC 7672 2.2)."""
    if state is State.SILENT:
        return unknown(fact("It does not answer for the root (. NS), so whether it validates (DNSSEC) is not known."))
    if state is State.VALIDATES:
        if honours_dane:
            return right(
                fact("It validates (DNSSEC): what other domains say of their certificates is honoured (DANE).")
            )
        return optional(fact("It validates (DNSSEC). DANE of other domains is not honoured: Settings has it off."))
    if state is State.PERMISSIVE:
        return wrong(fact("It answers what is badly signed, so DANE is not honoured: end its permissive mode."))
    if state is State.FOREIGN:
        return optional(
            fact(
                "It is not on this machine, so its word on DNSSEC does not count and DANE is not honoured: run one"
                " here, or set MAILSPOOL_TRUST_DNS where the way to it is safe."
            )
        )
    return optional(
        fact("It does not validate (DNSSEC), so DANE is not honoured: a resolver that does, as Unbound, mends that.")
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
