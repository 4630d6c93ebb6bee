"""Whether reports that a domain's records ask for get anywhere: to a mailbox of ours, or to somebody who has agreed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from accounts import directory
from accounts.addresses import domain_of
from base.facts import NOTHING, Fact, fact
from base.name_servers import NoAnswer
from mailspool.dns_records import asking
from mailspool.dns_records.verdicts import IS_DMARC
from spool.addressing import RefusedRecipient, accept
from spool.delivery.incoming_reports import PURPOSES, named_in
from spool.models.dns import DomainRecord, RecordState

# Receivers need not send to more.
_MOST: Final = 3


def judge(row: DomainRecord, domain: str) -> None:
    """Change what is said of a record that is right by itself. Asks the database and the resolver."""
    if row.purpose in PURPOSES and row.state == RecordState.RIGHT and (why := _trouble(row, domain)):
        row.state, row.sentence, row.fact = RecordState.WRONG, why.english[:500], why.kept


def _trouble(row: DomainRecord, domain: str) -> Fact:
    for address in list(_addresses(row))[:_MOST]:
        host = domain_of(address)
        if directory.local_domain(host) is not None:
            try:
                accept(address)
            except RefusedRecipient:
                return fact("Reports to %(address)s are refused: nobody has that address here.", address=address)
        elif (
            row.purpose == "DMARC" and not _are_related(domain, host) and not _agrees(f"{domain}._report._dmarc.{host}")
        ):
            return fact(
                "No report goes to %(address)s: %(host)s does not say that it takes them (v=DMARC1 as TXT at"
                " %(name)s).",
                address=address,
                host=host,
                name=f"{domain}._report._dmarc.{host}",
            )
    return NOTHING


def _addresses(row: DomainRecord) -> Iterator[str]:
    for record in row.found.splitlines():
        yield from named_in(record)


def _are_related(one: str, other: str) -> bool:
    """Whether they may have one owner, who need not agree. Of a public suffix with two labels strangers do, too."""
    return one.split(".")[-2:] == other.split(".")[-2:]


def _agrees(name: str) -> bool:
    """Whether its owner takes reports about another's domain (RFC 9990 4); also when the DNS gives no answer."""
    try:
        return any(IS_DMARC.match(text) for text in asking.ask(name, "TXT"))
    except NoAnswer:
        return True
