"""What was found, as page and command show it: records that were kept, and DKIM keys as they are now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings as django_settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _lazy

from mailspool.dns_records.looking import keys_shown_at
from mailspool.dns_records.names import HOST
from mailspool.dns_records.records import zone_line
from spool.models.dkim import DkimKey, KeyState
from spool.models.dns import BAD, BLOCK_LIST, DomainRecord, RecordState
from spool.signing.published import is_about_record

_KEY_SENTENCES = {
    KeyState.PUBLISHED: _lazy("It is at all name servers, and signs once no resolver has kept an older answer."),
    KeyState.ACTIVE: _lazy("It signs."),
    KeyState.RETIRING: _lazy("It signs no more: keep the record for mail that is on its way."),
}
_TONES = {
    RecordState.RIGHT: "good",
    RecordState.WRONG: "bad",
    RecordState.MISSING: "bad",
    RecordState.OPTIONAL: "quiet",
    RecordState.UNKNOWN: "waiting",
}
_PURPOSES = (
    _lazy("Address"),
    "PTR",
    BLOCK_LIST,
    "MX",
    "SPF",
    "DKIM",
    "DMARC",
    "MTA-STS",
    "Policy",
    "TLS-RPT",
    "DNSSEC",
    "DANE",
    "Resolver",
)
# The worst comes first.
ORDER = (RecordState.WRONG, RecordState.MISSING, RecordState.UNKNOWN, RecordState.RIGHT, RecordState.OPTIONAL)


@dataclass(frozen=True, slots=True)
class Shown:
    """One record; `found` are the lines that were there."""

    purpose: str
    name: str
    kind: str
    wanted: str
    found: Sequence[str]
    state: RecordState
    sentence: str
    checked: datetime | None = None

    @property
    def tone(self) -> str:
        """The colour of its state."""
        return _TONES[self.state]

    @property
    def is_bad(self) -> bool:
        return self.state in BAD

    @property
    def shows_wanted(self) -> bool:
        """Whether there is something to put into the DNS."""
        return bool(self.wanted) and self.state is not RecordState.RIGHT


@dataclass(frozen=True, slots=True)
class Chip:
    """A purpose, and the worst of its records."""

    purpose: str
    state: RecordState

    @property
    def tone(self) -> str:
        """The colour of its state."""
        return _TONES[self.state]


def records_of(domain: str) -> list[Shown]:
    """All of a domain, or of HOST, in their order. Two queries."""
    kept = [
        Shown(
            row.purpose,
            row.name,
            row.kind,
            row.wanted,
            row.found.splitlines(),
            RecordState(row.state),
            row.said,
            row.checked,
        )
        for row in DomainRecord.objects.filter(domain=domain).order_by("place")
    ]
    keys = [shown_key(key) for key in keys_shown_at(domain)]
    if not keys and domain != HOST:
        keys = [
            Shown(
                "DKIM",
                f"_domainkey.{domain}",
                "TXT",
                "",
                (),
                RecordState.MISSING,
                gettext("There is no key: mail of this domain is not signed. Add one, and its record is shown here."),
            )
        ]
    place = next((at + 1 for at, one in enumerate(kept) if one.purpose == "SPF"), len(kept))
    return [*kept[:place], *keys, *kept[place:]]


def shown_key(key: DkimKey) -> Shown:
    """The record of a key."""
    if key.checked is None:
        state, sentence = RecordState.UNKNOWN, gettext("It was not looked for yet.")
    elif not key.found:
        state, sentence = (
            RecordState.RIGHT,
            str(_KEY_SENTENCES.get(KeyState(key.state)) or gettext("It is at all name servers.")),
        )
    elif key.state == KeyState.PREPARED:
        state = _state_of_wrong(key)
        said = (
            gettext("It signs no more: %(found)s.")
            if key.active
            else gettext("Nothing is signed by it yet: %(found)s.")
        )
        sentence = said % {"found": key.wrong}
        if key.send_problem:
            sentence += gettext(" It could not be put there: %(send_problem)s.") % {"send_problem": key.unsent}
    elif is_about_record(key):
        state = _state_of_wrong(key)
        sentence = gettext("Mail that it has signed is on its way, and wants its record: %(found)s.") % {
            "found": key.wrong
        }
    else:
        state, sentence = (
            RecordState.UNKNOWN,
            (gettext("The last look had no answer: %(found)s.") % {"found": key.wrong}),
        )
    return Shown("DKIM", key.name, "TXT", key.record, (), state, sentence, key.checked)


def _state_of_wrong(key: DkimKey) -> RecordState:
    return RecordState.MISSING if key.found.endswith("there is no record yet") else RecordState.WRONG


def chips(domains: Iterable[str]) -> dict[str, list[Chip]]:
    """The purposes of each domain, with the worst of their records. Two queries."""
    names = list(domains)
    worst: dict[str, dict[str, RecordState]] = defaultdict(dict)

    def note(domain: str, purpose: str, state: RecordState) -> None:
        before = worst[domain].get(purpose, state)
        worst[domain][purpose] = min(before, state, key=ORDER.index)

    rows = DomainRecord.objects.filter(domain__in=names).order_by("domain", "place")
    for domain, purpose, state in rows.values_list("domain", "purpose", "state"):
        note(domain, purpose, RecordState(state))
    for key in DkimKey.objects.filter(domain__in=names).exclude(state=KeyState.REVOKED):
        note(key.domain, "DKIM", shown_key(key).state)
    for domain in names:
        if domain != HOST and "DKIM" not in worst[domain] and worst[domain]:
            note(domain, "DKIM", RecordState.MISSING)
    return {
        domain: [Chip(*one) for one in sorted(found.items(), key=lambda one: _place(one[0]))]
        for domain, found in worst.items()
    }


def _place(purpose: str) -> int:
    return _PURPOSES.index(purpose) if purpose in _PURPOSES else len(_PURPOSES)


def zone_file(records: Sequence[Shown]) -> str:
    """What has to be added, or put in the place of what is there, as lines of a zone file."""
    return "".join(f"{zone_line(one.name, one.kind, one.wanted)}\n" for one in records if one.shows_wanted)


def octodns(domain: str, records: Sequence[Shown]) -> str:
    """The same as a zone of octoDNS, whose names are below the domain and whose semicolons are escaped (YAML)."""
    by_name: dict[str, list[Shown]] = defaultdict(list)
    for one in records:
        if one.shows_wanted:
            by_name[one.name.removesuffix(domain).rstrip(".")].append(one)
    lines = ["---"]
    for name, wanted in sorted(by_name.items()):
        lines.append(f"{_quoted(name)}:")
        for one in wanted:
            lines += [f"- type: {one.kind}", "  ttl: 3600"]
            lines += _octodns_value(one)
    return "\n".join(lines) + "\n" if len(lines) > 1 else ""


def _octodns_value(one: Shown) -> list[str]:
    if one.kind == "MX":
        preference, _, exchange = one.wanted.partition(" ")
        return ["  value:", f"    preference: {preference}", f"    exchange: {exchange}"]
    if one.kind == "TLSA":
        usage, selector, matching, data = one.wanted.split()
        return [
            "  value:",
            f"    certificate_usage: {usage}",
            f"    selector: {selector}",
            f"    matching_type: {matching}",
            f"    certificate_association_data: {data}",
        ]
    return [f"  value: {_quoted(one.wanted.replace(';', chr(92) + ';') if one.kind == 'TXT' else one.wanted)}"]


def _quoted(text: str) -> str:
    """A string of YAML in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def host_name() -> str:
    """The name of this host, as the DNS has it."""
    return str(django_settings.MAILSPOOL_HOSTNAME).lower().rstrip(".")


def title_of(domain: str) -> str:
    """What a page or a line is headed by."""
    return domain or (
        gettext("This host, %(mailspool_hostname)s") % {"mailspool_hostname": django_settings.MAILSPOOL_HOSTNAME}
    )
