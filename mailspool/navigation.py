"""The sidebar of the console, in the order in which an administrator needs it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from accounts.templatetags.reach import opens
from mailspool.attention import items as attention

# (section, ((title, icon, name of the page's URL), …)). Icons are Material Symbols.
SECTIONS = (
    (
        "Mail",
        (
            ("Overview", "monitoring", "admin:index"),
            ("Spool", "forward_to_inbox", "admin:spool_entry_changelist"),
            ("Waiting to Deliver", "schedule_send", "admin:spool_entry_waiting"),
            ("Spam Quarantine", "report", "admin:quarantine_item_spam"),
            ("Virus Quarantine", "coronavirus", "admin:quarantine_item_virus"),
            ("Backlog map", "grid_on", "admin:spool_entry_backlog"),
            ("Throttled Users", "speed", "admin:throttling_throttleevent_users"),
            ("Throttled Domains", "network_check", "admin:throttling_throttleevent_domains"),
            ("Message trace", "manage_search", "admin:spool_trace_changelist"),
            ("Trash", "delete", "admin:spool_trashed_changelist"),
            ("Alerts", "notifications_active", "admin:spool_alertevent_changelist"),
        ),
    ),
    (
        "Accounts",
        (
            ("Domains", "domain", "admin:accounts_domain_changelist"),
            ("Users", "person", "admin:accounts_user_changelist"),
            ("Aliases", "alternate_email", "admin:accounts_alias_changelist"),
            ("Mailing lists", "groups", "admin:accounts_mailinglist_changelist"),
            ("Connections", "lan", "admin:accounts_user_connections"),
        ),
    ),
    (
        "Security",
        (
            ("Blacklist", "block", "admin:security_blacklistentry_changelist"),
            ("Whitelist", "verified_user", "admin:security_whitelistentry_changelist"),
            ("SMTP blocks", "unsubscribe", "admin:security_smtpblock_changelist"),
            ("Login blocks", "lock_clock", "admin:security_loginblock_changelist"),
            ("Signing in", "passkey", "admin:accounts_signinsettings_changelist"),
        ),
    ),
    (
        "Server",
        (
            ("Routes", "alt_route", "admin:spool_route_changelist"),
            ("Antispam", "filter_alt", "admin:quarantine_antispamsettings_changelist"),
            ("Antivirus", "bug_report", "admin:quarantine_antivirussettings_changelist"),
            ("Settings", "tune", "admin:spool_settings_changelist"),
            ("Throttling", "shutter_speed", "admin:throttling_throttlesettings_changelist"),
            ("Anomaly guard", "gpp_maybe", "admin:throttling_guardevent_changelist"),
            ("Guard policies", "policy", "admin:throttling_guardpolicy_changelist"),
            ("Jobs", "conveyor_belt", "admin:django_rq_dashboard_changelist"),
            ("Audit", "history", "admin:audit_auditevent_changelist"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's UNFOLD["SIDEBAR"]["navigation"]. A page that isn't installed, or not for this person,
    has no link."""
    links = {
        url: link
        for _, pages in SECTIONS
        for _, _, url in pages
        if opens(request, url) and (link := _link_to(url)) is not None
    }
    # The longest that the path begins with: Waiting to Deliver lies below Spool.
    here = max((link for link in links.values() if _is_below(request.path, link)), key=len, default="")
    sections = []
    for title, pages in SECTIONS:
        items = [
            {"title": name, "icon": icon, "link": links[url], "active": links[url] == here, **_badge(url)}
            for name, icon, url in pages
            if url in links
        ]
        if items:
            sections.append({"title": title, "separator": True, "items": items})
    return sections


def _badge(url: str) -> dict[str, Any]:
    """The number beside an entry; what needs attention is counted at the alerts."""
    if url != "admin:spool_alertevent_changelist":
        return {}
    return {"badge": attention.current().count, "badge_id": "attention-count"}


def _is_below(path: str, link: str) -> bool:
    """Whether a page belongs to a link. Every page lies below the Overview's, and only its own belong to it."""
    index = reverse("admin:index")
    return path.startswith(link) if link != index else path == index or path.startswith(f"{index}overview/")


def _link_to(url_name: str) -> str | None:
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return None
