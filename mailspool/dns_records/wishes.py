"""The records that a domain of ours, and this host, are to have."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import dns.name
import dns.reversename
from cryptography import x509

from mailspool.dns_records import block_lists as block_lists_say
from mailspool.dns_records import policy, verdicts
from mailspool.dns_records.host import Host
from mailspool.dns_records.records import Verdict, Wish
from spool.models.dns import BLOCK_LIST, RecordState


def of_domain(domain: str, host: Host, policy_id: str) -> list[Wish]:
    """Those that mail to and from a domain needs; DKIM keys are looked for by themselves (spool.signing).

    `policy_id` is the id of the MTA-STS policy that is served for it, empty without one.
    """
    wishes = [
        Wish("MX", domain, "MX", f"10 {host.name}.", partial(_mx, domain=domain, host=host)),
        _spf(domain, host, "mx"),
        Wish("DMARC", f"_dmarc.{domain}", "TXT", _dmarc_of(domain), partial(verdicts.dmarc, domain=domain)),
        Wish(
            "MTA-STS",
            f"_mta-sts.{domain}",
            "TXT",
            f"v=STSv1; id={policy_id}" if policy_id else "",
            partial(verdicts.mta_sts, record_id=policy_id),
        ),
    ]
    if policy_id:
        name = f"mta-sts.{domain}"
        wishes.append(Wish("Policy", name, "CNAME", f"{host.name}.", partial(policy.look, name=name), by_resolver=True))
    return [
        *wishes,
        Wish("TLS-RPT", f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua=mailto:postmaster@{domain}", verdicts.tls_rpt),
        Wish("DNSSEC", domain, "DS", "", partial(verdicts.dnssec, domain=domain), by_resolver=True),
    ]


def _mx(records: Sequence[str], domain: str, host: Host) -> Verdict:
    """Where mail for a domain goes, and may go by our own MTA-STS policy."""
    verdict = verdicts.mx(records, domain, host)
    if verdict.state != RecordState.RIGHT:
        return verdict
    left_out = [name for name in verdicts.exchanges(records) if not policy.allows(name)]
    return verdicts.not_in_policy(left_out) if left_out else verdict


def _dmarc_of(domain: str) -> str:
    return f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"


def of_host(host: Host, certificate: x509.Certificate | None, block_lists: Sequence[str] = ()) -> list[Wish]:
    """Those of the host's own name and addresses. It needs SPF as well: notices come from it by its name alone.

    What is wished for in `block_lists` is nothing.
    """
    shown = verdicts.tlsa_of(certificate) if certificate is not None else ""
    return [
        address_of(host, "A"),
        address_of(host, "AAAA"),
        *(
            Wish(
                "PTR",
                dns.reversename.from_address(address).to_text(omit_final_dot=True),
                "PTR",
                f"{host.called(address)}.",
                partial(verdicts.ptr, host=host, address=address),
                by_resolver=True,
            )
            for address in host.sending
        ),
        *(_unlisted(address, zone) for address in host.sending for zone in block_lists),
        _spf(host.name, host, "a"),
        Wish("DANE", f"_25._tcp.{host.name}", "TLSA", shown, partial(verdicts.tlsa, certificate=certificate)),
    ]


def address_of(host: Host, kind: str) -> Wish:
    """That of the host's name, of one family."""
    return Wish("Address", host.name, kind, "", partial(verdicts.addresses, host=host, kind=kind), by_resolver=True)


def _unlisted(address: str, zone: str) -> Wish:
    """What a DNS list says of an address (RFC 5782 2.1), IPv6 by its nibbles."""
    reverse = dns.reversename.from_address(address).relativize(_zone_of(address)).to_text()
    name = f"{reverse}.{zone}"
    judge = partial(block_lists_say.verdict, address=address, zone=zone, name=name)
    return Wish(BLOCK_LIST, name, "A", "", judge, by_resolver=True)


def _zone_of(address: str) -> dns.name.Name:
    return dns.reversename.ipv6_reverse_domain if ":" in address else dns.reversename.ipv4_reverse_domain


def _spf(domain: str, host: Host, mechanism: str) -> Wish:
    judge = partial(verdicts.spf, domain=domain, host=host, mechanism=mechanism)
    return Wish("SPF", domain, "TXT", f"v=spf1 {mechanism} -all", judge)
