"""The console's pages: the sidebar, the tabs above those that stand together, and where in them one is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _lazy

from accounts.templatetags.reach import opens
from base.texts import Text
from mailspool.attention import items as attention


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its title, an icon of Material Symbols, the name of its URL, and words by which a search finds it.

    `key` is the letter that leads there behind g; `also` are paths below the console's that belong to it, besides those
    below its own.
    """

    title: Text
    icon: str
    url: str
    words: str = ""
    key: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the sidebar: it leads to the first of its pages, which has the others beside it as tabs."""

    title: Text
    icon: str
    pages: tuple[Page, ...]
    # Whether its tabs are those of settings (SPOOL_CONSOLE_TABS), with counts.
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where one is."""

    entry: Entry
    page: Page


ALERTS: Final = "admin:spool_alertevent_changelist"
INDEX: Final = "admin:index"


def _alone(page: Page) -> Entry:
    return Entry(page.title, page.icon, (page,))


SECTIONS: tuple[tuple[Text, tuple[Entry, ...]], ...] = (
    (
        _lazy("Mail"),
        (
            Entry(
                _lazy("Mail queues"),
                "monitoring",
                (
                    Page(
                        _lazy("Overview"),
                        "monitoring",
                        INDEX,
                        "home activity charts top senders who hands in",
                        "o",
                        ("overview/", "incident/"),
                    ),
                    Page(
                        _lazy("Spool"), "forward_to_inbox", "admin:spool_entry_changelist", "queue messages mail", "s"
                    ),
                    Page(
                        _lazy("Waiting to Deliver"),
                        "schedule_send",
                        "admin:spool_entry_waiting",
                        "deferred retry queue",
                        "w",
                    ),
                    Page(
                        _lazy("Spam Quarantine"),
                        "report",
                        "admin:quarantine_item_spam",
                        "junk held ham",
                        "q",
                        ("quarantine/item/",),
                    ),
                    Page(
                        _lazy("Virus Quarantine"), "coronavirus", "admin:quarantine_item_virus", "malware held infected"
                    ),
                    Page(
                        _lazy("Throttled Users"),
                        "speed",
                        "admin:throttling_throttleevent_users",
                        "limits rate",
                        also=("throttling/throttleevent/",),
                    ),
                    Page(
                        _lazy("Throttled Domains"),
                        "network_check",
                        "admin:throttling_throttleevent_domains",
                        "limits rate",
                    ),
                    Page(
                        _lazy("Destinations"),
                        "hub",
                        "destinations",
                        "sites receivers providers mx hosts slowed suspended limits rate pace resume retry",
                        "r",
                    ),
                    Page(_lazy("Backlog map"), "grid_on", "admin:spool_entry_backlog", "destinations age"),
                ),
                counts=True,
            ),
            Entry(
                _lazy("Message trace"),
                "manage_search",
                (
                    Page(
                        _lazy("Message trace"),
                        "manage_search",
                        "admin:spool_trace_changelist",
                        "log delivered bounced history search",
                        "t",
                    ),
                    Page(_lazy("Trash"), "delete", "admin:spool_trashed_changelist", "deleted moved undo restore"),
                    Page(
                        _lazy("Received bounces"),
                        "undo",
                        "admin:spool_receivedbounce_changelist",
                        "dsn undeliverable returned notices",
                    ),
                ),
            ),
            Entry(
                _lazy("Alerts"),
                "notifications_active",
                (
                    Page(_lazy("Alerts"), "notifications_active", ALERTS, "warnings attention", "a", ("attention/",)),
                    Page(
                        _lazy("Alert rules"),
                        "rule",
                        "admin:spool_alertrule_changelist",
                        "notifications webhook thresholds",
                    ),
                ),
            ),
        ),
    ),
    (
        _lazy("Accounts"),
        (
            Entry(
                _lazy("Domains"),
                "domain",
                (
                    Page(
                        _lazy("Domains"),
                        "domain",
                        "admin:accounts_domain_changelist",
                        "local hosted add",
                        "d",
                        ("accounts/domaindefaults/",),
                    ),
                    Page(
                        _lazy("DNS records"),
                        "dns",
                        "dns",
                        "mx spf dkim dmarc mta-sts tls-rpt ptr dane dnssec zone",
                        "n",
                    ),
                    Page(
                        _lazy("Mail reports"),
                        "summarize",
                        "mail_reports",
                        "dmarc aggregate rua tls-rpt tlsrpt spoofing who sends in our name received",
                    ),
                    Page(
                        _lazy("DKIM keys"),
                        "key",
                        "admin:spool_dkimkey_changelist",
                        "signing signature selector dns record",
                    ),
                    Page(
                        _lazy("Suppressed addresses"),
                        "unsubscribe",
                        "admin:spool_suppression_changelist",
                        "suppression bounced complained abuse reports arf feedback dead recipients",
                    ),
                ),
            ),
            Entry(
                _lazy("Users"),
                "person",
                (
                    Page(
                        _lazy("Users"),
                        "person",
                        "admin:accounts_user_changelist",
                        "accounts mailboxes people add login",
                        "u",
                        ("accounts/userdefaults/",),
                    ),
                    Page(
                        _lazy("Connections"), "lan", "admin:accounts_user_connections", "sessions imap smtp logged in"
                    ),
                ),
            ),
            Entry(
                _lazy("Aliases and lists"),
                "alternate_email",
                (
                    Page(_lazy("Aliases"), "alternate_email", "admin:accounts_alias_changelist", "forward addresses"),
                    Page(
                        _lazy("Mailing lists"),
                        "groups",
                        "admin:accounts_mailinglist_changelist",
                        "groups distribution",
                        also=("accounts/listmember/",),
                    ),
                ),
            ),
        ),
    ),
    (
        _lazy("Security"),
        (
            Entry(
                _lazy("Access lists"),
                "block",
                (
                    Page(_lazy("Blacklist"), "block", "admin:security_blacklistentry_changelist", "block deny ban ip"),
                    Page(
                        _lazy("Whitelist"),
                        "verified_user",
                        "admin:security_whitelistentry_changelist",
                        "allow exempt ip",
                    ),
                    Page(
                        _lazy("SMTP blocks"),
                        "unsubscribe",
                        "admin:security_smtpblock_changelist",
                        "senders recipients block",
                    ),
                ),
            ),
            Entry(
                _lazy("Logins"),
                "lock_clock",
                (
                    Page(
                        _lazy("Login blocks"),
                        "lock_clock",
                        "admin:security_loginblock_changelist",
                        "failed logins locked brute force",
                        also=("security/loginrules/",),
                    ),
                    Page(
                        _lazy("Signing in"),
                        "passkey",
                        "admin:accounts_signinsettings_changelist",
                        "totp passkeys second factor password single sign-on sso oidc",
                    ),
                ),
            ),
            Entry(
                _lazy("Anomaly guard"),
                "gpp_maybe",
                (
                    Page(
                        _lazy("Anomaly guard"),
                        "gpp_maybe",
                        "admin:throttling_guardevent_changelist",
                        "incidents compromised",
                    ),
                    Page(
                        _lazy("Guard policies"),
                        "policy",
                        "admin:throttling_guardpolicy_changelist",
                        "anomaly compromised",
                    ),
                ),
            ),
        ),
    ),
    (
        _lazy("Server"),
        (
            Entry(
                _lazy("Settings"),
                "tune",
                (
                    Page(
                        _lazy("Settings"),
                        "tune",
                        "settings",
                        "configuration retries limits tls certificate",
                        "e",
                        ("spool/settings/",),
                    ),
                    Page(
                        _lazy("Throttling"),
                        "shutter_speed",
                        "admin:throttling_throttlesettings_changelist",
                        "limits rate",
                    ),
                    Page(
                        _lazy("Antispam"),
                        "filter_alt",
                        "admin:quarantine_antispamsettings_changelist",
                        "spam checks spamassassin rspamd greylisting dnsbl thresholds",
                        also=("quarantine/check/", "quarantine/trustedsender/"),
                    ),
                    Page(
                        _lazy("Antivirus"),
                        "bug_report",
                        "admin:quarantine_antivirussettings_changelist",
                        "clamav scanner virus",
                    ),
                    Page(
                        _lazy("Routes"),
                        "alt_route",
                        "admin:spool_route_changelist",
                        "smarthost relay next hop transport",
                    ),
                    Page(
                        _lazy("DNS updates"),
                        "publish",
                        "admin:spool_updateserver_changelist",
                        "rfc 2136 nsupdate tsig key dynamic zone bind knot publish dkim",
                    ),
                    Page(
                        _lazy("Source addresses"),
                        "output",
                        "admin:spool_sourceaddress_changelist",
                        "outgoing ip ehlo ptr warm-up block list weights",
                    ),
                    Page(
                        _lazy("Destination rules"),
                        "rule_settings",
                        "admin:spool_destinationrule_changelist",
                        "retry schedule expiry connections rate tls source suspend domain provider mx choices",
                    ),
                ),
            ),
            Entry(
                _lazy("Machines"),
                "lan",
                (
                    Page(
                        _lazy("Machines"),
                        "lan",
                        "machines",
                        "servers nodes drain resume forget maintenance heartbeat cluster",
                    ),
                    Page(_lazy("Jobs"), "conveyor_belt", "jobs", "queues workers background redis rq failed retry"),
                ),
            ),
            _alone(Page(_lazy("Audit"), "history", "admin:audit_auditevent_changelist", "log changes who did", "h")),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's UNFOLD["SIDEBAR"]["navigation"]. What isn't installed, or not for this person, has no link."""
    here = place_of(request.path)
    sections = []
    for title, entries in SECTIONS:
        items = [
            {
                "title": entry.title,
                "icon": entry.icon,
                "link": links[0],
                "active": here is not None and here.entry is entry,
                **_badge(entry),
            }
            for entry in entries
            if (links := [link for _, link in links_of(request, entry)])
        ]
        if items:
            sections.append({"title": title, "separator": True, "items": items})
    return sections


def place_of(path: str) -> Place | None:
    """The page that a path belongs to: that of the longest path it begins with; None for one of nowhere."""
    index = reverse(INDEX)
    longest, place = 0, None
    for _, entries in SECTIONS:
        for entry in entries:
            for page in entry.pages:
                for start in _beginnings(page, index):
                    # Every path lies below the Overview's own, and only that one itself belongs to it.
                    if (path == start if start == index else path.startswith(start)) and len(start) > longest:
                        longest, place = len(start), Place(entry, page)
    return place


def pages_of(request: HttpRequest) -> Iterator[tuple[Page, str, Text]]:
    """Every page that this person opens, with its link and where it stands."""
    for section, entries in SECTIONS:
        for entry in entries:
            for page, link in links_of(request, entry):
                yield page, link, section if page.title == entry.title else f"{section} › {entry.title}"


def links_of(request: HttpRequest, entry: Entry) -> list[tuple[Page, str]]:
    """The pages of an entry that are installed and for this person, with their links."""
    return [(page, link) for page in entry.pages if opens(request, page.url) and (link := link_to(page)) is not None]


def shortcuts(request: HttpRequest) -> list[tuple[str, tuple[Text, str]]]:
    """The letters that lead to pages, each with the page's title and link."""
    return [(page.key, (page.title, link)) for page, link, _ in pages_of(request) if page.key]


@cache
def link_to(page: Page) -> str | None:
    """Its address; None when it is not installed."""
    try:
        return reverse(page.url)
    except NoReverseMatch:
        return None


def _beginnings(page: Page, index: str) -> list[str]:
    link = link_to(page)
    return [*([link] if link is not None else []), *(f"{index}{path}" for path in page.also)]


def _badge(entry: Entry) -> dict[str, Any]:
    """The number beside an entry; what needs attention is counted at the alerts."""
    if all(page.url != ALERTS for page in entry.pages):
        return {}
    return {"badge": attention.current().count, "badge_id": "attention-count"}
