"""Reading a DMARC aggregate report (RFC 9990, RFC 7489 appendix C): XML that somebody wrote, read once from end to end.

A document type is not read at all, so that no entity can stand for anything; numbers of elements, records and letters
have bounds.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from xml.parsers import expat

from mailspool.mail_reports.packed import Unreadable
from spool.dsn.fields import one_line

MOST_ELEMENTS: Final = 400_000
MOST_RECORDS: Final = 10_000
MOST_LEVELS: Final = 20
LONGEST_TEXT: Final = 500
MOST_MESSAGES: Final = 10**12
_DISPOSITIONS: Final = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Source:
    """Whose mail was judged, and how: `dkim` and `spf` say whether each passed, aligned."""

    ip: str
    dkim: bool
    spf: bool
    disposition: str


@dataclass(slots=True)
class Told:
    """What is said of one source. The domains are those of the last record."""

    count: int = 0
    header_from: str = ""
    dkim_domain: str = ""
    spf_domain: str = ""


@dataclass(slots=True)
class DMARCRead:
    """A report; moments are of UTC."""

    reporter: str = ""
    report_id: str = ""
    domain: str = ""
    begins: datetime = datetime.min
    ends: datetime = datetime.min
    sources: dict[Source, Told] = field(default_factory=dict)

    @property
    def good(self) -> int:
        """Messages that passed DMARC."""
        return sum(told.count for source, told in self.sources.items() if source.dkim or source.spf)

    @property
    def bad(self) -> int:
        return sum(told.count for told in self.sources.values()) - self.good


def read(content: bytes) -> DMARCRead:
    """The report that the XML is. Raises Unreadable."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _no_type
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"it is no XML: {str(error)[:100]}") from error
    return reader.report()


def _no_type(*declared: object) -> None:
    raise Unreadable("it declares a document type")


class _Reader:
    """What has been read so far."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._letters: list[str] = []
        self._length = 0
        self._elements = 0
        self._records = 0
        # The texts of the report, and of the record that is open, by their paths.
        self._of_report: dict[str, str] = {}
        self._of_record: dict[str, str] = {}
        self._found = DMARCRead()
        self._is_report = False

    def begin(self, name: str, attributes: object) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS or len(self._path) >= MOST_LEVELS:
            raise Unreadable("it is too large")
        self._path.append(name.rpartition(":")[2].lower())
        self._letters, self._length = [], 0
        if len(self._path) == 1:
            self._is_report = self._path[0] == "feedback"

    def text(self, letters: str) -> None:
        if self._length < LONGEST_TEXT:
            self._letters.append(letters[: LONGEST_TEXT - self._length])
            self._length += len(letters)

    def end(self, name: str) -> None:
        path = "/".join(self._path[1:])
        said = "".join(self._letters).strip()
        self._letters, self._length = [], 0
        if path == "record":
            self._record()
        elif said and self._path[1:2] == ["record"]:
            self._tell(path.removeprefix("record/"), said)
        elif said and len(self._path) <= 4:
            self._of_report.setdefault(path, said)
        self._path.pop()

    def _tell(self, path: str, said: str) -> None:
        # Of several signatures one that passed says more than the first.
        if path == "auth_results/dkim/domain":
            self._of_record["signed"] = said
        elif path == "auth_results/dkim/result":
            if said.lower() == "pass" or "dkim domain" not in self._of_record:
                self._of_record["dkim domain"] = self._of_record.get("signed", "")
        else:
            self._of_record.setdefault(path, said)

    def _record(self) -> None:
        record, self._of_record = self._of_record, {}
        self._records += 1
        if self._records > MOST_RECORDS:
            raise Unreadable("it has too many records")
        ip = _address(record.get("row/source_ip", ""))
        count = _number(record.get("row/count", ""))
        if not ip or not count:
            return
        disposition = record.get("row/policy_evaluated/disposition", "").lower()
        source = Source(
            ip,
            record.get("row/policy_evaluated/dkim", "").lower() == "pass",
            record.get("row/policy_evaluated/spf", "").lower() == "pass",
            disposition if disposition in _DISPOSITIONS else "none",
        )
        told = self._found.sources.setdefault(source, Told())
        told.count += count
        told.header_from = _name(record.get("identifiers/header_from", ""))
        told.dkim_domain = _name(record.get("dkim domain", record.get("signed", "")))
        told.spf_domain = _name(record.get("auth_results/spf/domain", ""))

    def report(self) -> DMARCRead:
        """All of it. Raises Unreadable when it is none."""
        if not self._is_report:
            raise Unreadable("it is no DMARC report")
        said, found = self._of_report, self._found
        metadata = "report_metadata"
        found.reporter = one_line(said.get(f"{metadata}/org_name") or said.get(f"{metadata}/email", ""), 200)
        found.report_id = one_line(said.get(f"{metadata}/report_id", ""), 255)
        found.domain = _name(said.get("policy_published/domain", ""))
        found.begins = _moment(said.get(f"{metadata}/date_range/begin", ""))
        found.ends = _moment(said.get(f"{metadata}/date_range/end", ""))
        return found


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    # A zone is somebody's network card, of any length.
    return "" if isinstance(address, ipaddress.IPv6Address) and address.scope_id else str(address)


def _name(text: str) -> str:
    return one_line(text, 255).lower().rstrip(".")


def _number(text: str) -> int:
    return min(int(text), MOST_MESSAGES) if text.isascii() and text.isdecimal() and len(text) <= 15 else 0


def _moment(text: str) -> datetime:
    if text.isascii() and text.isdecimal() and len(text) <= 11:
        return datetime.fromtimestamp(int(text), UTC)
    raise Unreadable("it does not say of when it is")
