"""What each page is asked with: found by walking the URLconf, so that a new page is asked for, or missed loudly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import admin
from django.db.models import Model

from accounts.models import Alias, MailingList, User
from bench.spool_of import BULK_DOMAIN
from quarantine.models import Item
from spool.models import AlertEvent, BulkJob, Entry, Recipient, Suppression, Trace
from tests.privileges.urls import Place, places

LARGEST_USER = f"user0@{BULK_DOMAIN}"
DESTINATION = "mx.dest0.test"
# Why these are not asked for; "POST" is found out by asking.
LEFT = {
    "admin:logout": "ends the session",
    "portal:logout": "ends the session",
    "portal:second_factor": "leads to the login without one",
    "portal:second_factor_passkey": "needs a half login",
    "portal:login_passkey": "needs a half login",
    "portal:provider": "leads elsewhere",
    "portal:provider_back": "comes from elsewhere",
    "portal:confirm_passkey": "needs a passkey",
    "quarantine_release": "needs a token that was mailed",
    "unsubscribe": "needs a token that was mailed",
    "admin:view_on_site": "there is none",
    "admin:quarantine_item_content": "the rows of this bench have no content",
    "admin:quarantine_item_preview": "the rows of this bench have no content",
    "admin:quarantine_item_source": "the rows of this bench have no content",
    "admin:quarantine_item_download": "the rows of this bench have no content",
    "jobs_job": "there is none that has failed",
}
_UNNAMED = ("", "admin:")
# Lists of rows that nobody can add, change or open.
CLOSED = ("_add", "_delete", "_change")


@dataclass(frozen=True, slots=True)
class Asked:
    """One address, and what is posted there."""

    name: str
    path: str
    posted: dict[str, Any] = field(default_factory=dict)


def of_administrators() -> Iterator[Asked]:
    """Every page that is somebody's who looks at it, and every list in all its orders, filters and searches."""
    known = _arguments()
    unknown = []
    for place in places():
        if place.name in LEFT or place.route.startswith(("me/", "hijack/")):
            continue
        takes_none = "<" not in place.route and "(?P" not in place.route
        if place.name in known:
            for words, path in known[place.name].items():
                yield Asked(f"{place.name} {words}".rstrip(), path)
        elif takes_none:
            yield Asked(place.path if place.name in _UNNAMED else place.name, place.path)
        elif place.name in _UNNAMED:
            # These lead to another page.
            continue
        elif (row := _row_of(place)) is not None:
            yield Asked(place.name, _filled(place, row.pk))
        elif not _is_known_to_be_closed(place):
            unknown.append(f"{place} ({place.name})")
    if unknown:
        raise SystemExit(f"Say in bench/addresses.py what these are asked with: {', '.join(unknown)}")
    yield from _variants()
    yield from _of_tables()
    yield from _dialogs()


def of_users() -> Iterator[Asked]:
    """The pages below /me/, with what a domain administrator asks them for; others get what is theirs."""
    user = User.objects.filter(domain__name=BULK_DOMAIN).order_by("-pk").first()
    alias = Alias.objects.filter(domain__name=BULK_DOMAIN).first()
    listed = MailingList.objects.filter(domain__name=BULK_DOMAIN).first()
    trace = Trace.objects.filter(sender__endswith=f"@{BULK_DOMAIN}").first()
    assert user is not None and alias is not None and listed is not None and trace is not None
    rows = {"users": user.pk, "aliases": alias.pk, "lists": listed.pk, "accounts": user.pk}
    unknown = []
    for place in places():
        name = place.name.removeprefix("portal:")
        if not place.route.startswith("me/") or place.name in LEFT:
            continue
        if "<" not in place.route:
            yield Asked(place.name, place.path)
        elif "<str:file_name>" in place.route:
            yield Asked(place.name, place.path.replace("/x/", f"/{trace.file_name}/"))
        elif (kind := name.partition("_")[2]) in rows and "<int:pk>" in place.route:
            yield Asked(place.name, place.path.replace("/1/", f"/{rows[kind]}/"))
        elif name in ("user_senders", "remove_user_factors"):
            yield Asked(place.name, place.path.replace("/1/", f"/{user.pk}/"))
        elif name not in ("act", "throttled_act", "remove_factor", "end_app_password", "unlink"):
            unknown.append(f"{place} ({place.name})")
    if unknown:
        raise SystemExit(f"Say in bench/addresses.py what these are asked with: {', '.join(unknown)}")
    for path, queries in {
        "mail/history/": ("q=person", "outcome=bounced", "q=lunch"),
        "domain/trace/": ("q=person1@dest0.test", f"q={LARGEST_USER}", "outcome=bounced", "q=lunch"),
        "domain/quarantine/": ("q=lunch", "sort=-size_bytes"),
        "domain/users/": ("q=user77", "page=50"),
        "domain/suppressed/": ("q=person7", "page=50"),
        "domain/senders/": ("q=shop.test",),
        "domain/reports/": (f"domain={BULK_DOMAIN}",),
    }.items():
        for query in queries:
            yield Asked(f"portal {path}?{query}", f"/me/{path}?{query}")


@cache
def _middle(model: type[Model]) -> Any:
    """A row that is neither among the first nor among the last."""
    last = model._default_manager.order_by("-pk").first()
    assert last is not None, model
    first = model._default_manager.order_by("pk").first()
    if not isinstance(last.pk, int):
        return first
    return model._default_manager.filter(pk__gte=(first.pk + last.pk) // 2).order_by("pk").first()  # type: ignore[union-attr]


def _arguments() -> dict[str, dict[str, str]]:
    """By the name of a page, what it is asked with: paths by words."""
    entry, held, user = _middle(Entry), Item.objects.filter(kind="spam").order_by("pk")[1_000], _middle(User)
    alert, job, suppressed = AlertEvent.objects.filter(ended=None).first(), _middle(BulkJob), _middle(Suppression)
    assert alert is not None and suppressed is not None
    recipient = Recipient.objects.filter(entry=entry).first()
    assert recipient is not None
    things = {
        "user": LARGEST_USER,
        "domain": BULK_DOMAIN,
        "alias": "alias1@sender1.test",
        "list": "list0@sender0.test",
        "ip": entry.client_ip,
        "sender": entry.sender,
        "login": "100.64.0.1",
        "destination": DESTINATION,
        "machine": "mail1.test",
        "suppressed": f"{suppressed.domain}:{suppressed.address}",
        "dns": BULK_DOMAIN,
    }
    message = f"/admin/spool/entry/message/{entry.file_name}/"
    # Of these there are files.
    bulk = Entry.objects.filter(sender_domain=BULK_DOMAIN).order_by("pk").first()
    assert bulk is not None
    whole = f"/admin/spool/entry/message/{bulk.file_name}/"
    item = f"/admin/quarantine/item/message/{held.file_name}/"
    return {
        "overview_behind": {
            f"{table} {window}": f"/admin/overview/{table}/deliveries/{window}/?key={key}"
            for table, key in (
                ("local", ""),
                ("remote", ""),
                ("outbound-senders", "user0@ours0.test"),
                ("outbound-ips", "10.0.0.0"),
                ("inbound-recipients", "user0@ours0.test"),
                ("inbound-senders", "person0@sender0.test"),
                ("inbound-ips", "10.0.0.0"),
                ("inbound-domains", "sender0.test"),
            )
            for window in ("5m", "24h")
        },
        "overview_menu": {"": "/admin/overview/outbound-senders/menu/?key=user0@ours0.test"},
        "attention_alert": {"": f"/admin/attention/{alert.pk}/"},
        "attention_contain": {},
        "attention_acknowledge": {},
        "attention_mute": {},
        "incident": {
            f"{kind} {words}": f"/admin/incident/{kind}/{quote(key, safe='@:')}/"
            for kind, words, key in (
                ("sender", "of mail that waits", entry.sender),
                ("sender", "with much", LARGEST_USER),
                ("user", "with much", LARGEST_USER),
                ("ip", "", entry.client_ip),
                ("domain", "ours", BULK_DOMAIN),
                ("domain", "far", recipient.domain),
                ("domain", "far, with most", "dest0.test"),
            )
        },
        "destination": {
            "with most": f"/admin/destinations/one/?key={DESTINATION}",
            "24 hours": f"/admin/destinations/one/?key={DESTINATION}&range=24h",
            "another": "/admin/destinations/one/?key=mx.dest77.test",
        },
        "jobs_act": {},
        "dns_domain": {"": f"/admin/dns/{BULK_DOMAIN}/", "host": "/admin/dns/host/"},
        "dns_check": {},
        "mail_reports_domain": {
            "": f"/admin/reports/{BULK_DOMAIN}/",
            "365 days": f"/admin/reports/{BULK_DOMAIN}/?days=365",
        },
        "thing_menu": {kind: f"/admin/menu/{kind}/?key={quote(key)}" for kind, key in things.items()},
        "thing_dialog": {},
        "thing_act": {},
        "settings_section": {"": "/admin/settings/retention/"},
        "listed_senders": {"": f"/admin/accounts/user/{User.objects.order_by('-pk')[0].pk}/senders/"},
        "admin:accounts_user_contain": {"": f"/admin/accounts/user/{user.pk}/contain/"},
        "admin:accounts_user_password": {},
        "admin:accounts_user_status": {},
        "admin:accounts_user_remove_factors": {},
        "admin:accounts_domaindefaults_propagate": {"of one": "/admin/accounts/domaindefaults/1/to-propagate/"},
        "admin:accounts_userdefaults_propagate": {"of one": "/admin/accounts/userdefaults/1/to-propagate/"},
        "admin:accounts_mailinglist_find_members": {
            "": "/admin/accounts/mailinglist/1/members/",
            "searched": "/admin/accounts/mailinglist/1/members/?q=member77",
        },
        "admin:spool_alertrule_test": {},
        "admin:spool_entry_dialog": {},
        "admin:spool_entry_perform": {},
        "admin:spool_entry_job": {"": f"/admin/spool/entry/job/{job.pk}/"},
        "admin:spool_entry_cancel_job": {},
        "admin:spool_entry_undo": {},
        "admin:spool_entry_forget_view": {},
        "admin:spool_entry_message": {"": message},
        "admin:spool_entry_recipients": {"": f"{message}recipients/"},
        "admin:spool_entry_content": {"": f"{whole}content/"},
        "admin:spool_entry_preview": {"": f"{whole}preview/"},
        "admin:spool_entry_source": {"": f"{whole}source/"},
        "admin:spool_entry_download": {"": f"{whole}download/"},
        "messages_menu": {"": "/admin/menu-of-messages/?page=admin:spool_entry_changelist&query="},
        "admin:spool_entry_change": {"": f"/admin/spool/entry/{entry.pk}/change/"},
        "admin:quarantine_item_dialog": {},
        "admin:quarantine_item_perform": {},
        "admin:quarantine_item_message": {"": item},
        "admin:throttling_throttleevent_act": {},
        "admin:throttling_guardevent_undo": {},
        "admin:app_list": {"": "/admin/spool/"},
    }


def _row_of(place: Place) -> Any:
    """Of a page of one row of the admin site, a row in the middle."""
    for model in admin.site._registry:
        stem = f"admin:{model._meta.app_label}_{model._meta.model_name}_"
        if place.name.startswith(stem) and not _is_closed(model, place.name.removeprefix(stem)):
            return _middle(model)
    return None


def _is_closed(model: type[Model], page: str) -> bool:
    return model in (Entry, Item, Trace) or page not in ("change", "delete", "history", "to_test")


def _is_known_to_be_closed(place: Place) -> bool:
    return place.name.endswith(CLOSED)


def _filled(place: Place, key: object) -> str:
    return place.path.replace("/1/", f"/{key}/")


def _variants() -> Iterator[Asked]:
    """What is asked of the pages that are built by hand, besides what `bench.console_pages` asks of the spool's."""
    entry, trace = _middle(Entry), _middle(Trace)
    for path, queries in {
        "/admin/destinations/": (
            "q=dest77",
            "q=mx.dest0.test",
            "show=suspended",
            "sort=-waiting",
            "sort=name",
            "page=50",
        ),
        "/admin/search/": (
            "q=us",
            "q=user77",
            f"q={entry.sender}",
            f"q={entry.client_ip}",
            f"q={entry.file_name}",
            f"q={quote(entry.message_id)}",
            f"q={BULK_DOMAIN}",
            "q=dest77.test",
            "q=invoice lunch",
            "q=unheard of",
        ),
        "/admin/spool/trace/": (
            "q=invoice",
            "q=unheard-of",
            f"q={trace.recipient}",
            f"q={trace.sender}",
            f"q={quote(trace.message_id)}",
            f"q={trace.client_ip}",
            f"sender={trace.sender}",
            f"sender=*@{BULK_DOMAIN}",
            f"recipient={trace.recipient}",
            "recipient=*@dest0.test",
            "domain=dest4321.test",
            f"auth-user={trace.auth_user or LARGEST_USER}",
            "outcome=bounced",
            "outcome=expired",
            "subject=lunch",
            "subject=unheard of",
            "host=mx.dest77.test",
            "error=5.1.1",
            "larger=100MB",
            "older=20d",
            "sort=ended",
            "sort=-size_bytes",
            "sort=sender",
        ),
        "/admin/audit/auditevent/": (
            "actor=admin1@localhost",
            "actor=nobody@localhost",
            "action=hold",
            "action=unheard-of",
            "source=shell",
            "kind=user",
            "kind=user&key=user77@sender0.test",
            "ip=192.0.2.7",
            "q=hold",
            "q=unheard-of",
            "from=2026-01-01",
        ),
        "/admin/dns/": ("q=sender77", "show=wrong", "page=5"),
        "/admin/reports/": ("q=sender77", "page=5", "days=365"),
        "/admin/jobs/": ("show=failed", "page=2"),
        "/admin/throttling/throttleevent/users/": ("q=user77", "page=50", "sort=-used", "show=all"),
        "/admin/throttling/throttleevent/domains/": ("q=sender77", "page=5"),
        "/admin/accounts/user/connections/": (f"user={LARGEST_USER}",),
        "/admin/spool/entry/waiting/": tuple(f"group={by}" for by in ("sender", "subject", "destination", "error")),
        "/admin/spool/entry/": tuple(f"group={by}" for by in ("sender", "subject", "destination", "error")),
        "/admin/autocomplete/": tuple(
            urlencode({"app_label": app, "model_name": model, "field_name": name, "term": term})
            for app, model, name in (("accounts", "user", "domain"), ("accounts", "mailinglist", "owner"))
            for term in ("", "sender77", "user77")
        ),
    }.items():
        for query in queries:
            yield Asked(f"{path.removeprefix('/admin/')}?{query}", f"{path}?{query}")


def _of_tables() -> Iterator[Asked]:
    """Each list of the admin site: searched, by each column both ways, by each choice of a filter, and far behind."""
    for model, site in admin.site._registry.items():
        app, name = model._meta.app_label, model._meta.model_name
        if model in (Entry, Item, Trace) or (app, name) in (("audit", "auditevent"), ("throttling", "throttleevent")):
            continue
        path = f"/admin/{app}/{name}/"
        queries = ["q=user77", "q=unheard-of", "p=20", "all="] if site.search_fields else ["p=20", "all="]
        for place in range(1, len(site.list_display) + 1):
            queries += [f"o={place}", f"o=-{place}"]
        for one in site.list_filter:
            field_name = one if isinstance(one, str) else one[0] if isinstance(one, tuple) else ""
            if field_name:
                choices = model._meta.get_field(field_name).choices or ()
                queries += [f"{field_name}__exact={value}" for value, _ in choices]
        for query in queries:
            yield Asked(f"{app}/{name}/?{query}", f"{path}?{query}")


def _dialogs() -> Iterator[Asked]:
    """What is posted: previews of actions on many messages and on one thing, and exports."""
    from spool.console.actions import ACTIONS

    spool = {"all": "1", "page": "admin:spool_entry_changelist"}
    for action in ACTIONS:
        for words, query in (
            ("all", ""),
            ("of a domain", f"sender-domain={BULK_DOMAIN}"),
            ("subject", "subject=lunch"),
        ):
            path = f"/admin/spool/entry/action/{action.url}/"
            yield Asked(f"dialog {action.url}, {words}", path, {**spool, "query": query})
    quarantine = {"all": "1", "page": "admin:quarantine_item_spam"}
    for name in ("release", "delete"):
        for query in ("", "subject=lunch"):
            path = f"/admin/quarantine/item/action/{name}/"
            yield Asked(f"dialog quarantine {name} {query}", path, {**quarantine, "query": query})
    for name in ("retry", "suspend", "slow", "forget"):
        yield Asked(f"dialog destination {name}", f"/admin/menu/destination/{name}/", {"key": DESTINATION})
    for kind, name, key in (("user", "disable", LARGEST_USER), ("domain", "disable", BULK_DOMAIN)):
        yield Asked(f"dialog {kind} {name}", f"/admin/menu/{kind}/{name}/", {"key": key})
    for path in ("/admin/spool/trace/export/", "/admin/audit/auditevent/export/"):
        yield Asked(f"export {path}, first part", path, {"format": "csv"})
