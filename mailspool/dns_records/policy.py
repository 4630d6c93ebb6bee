"""Our own MTA-STS policy (RFC 8461 3.2): others send mail for our domains encrypted, to the hosts that it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound

from base.facts import fact
from mailspool.dns_records.asking import addresses_of
from mailspool.dns_records.names import our_domain
from mailspool.dns_records.records import Verdict, missing, right, wrong
from spool.delivery.policies import NotFetched, Policy, fetched_from
from spool.models.settings import current

# In seconds: a day while it is tried, then a week.
MAX_AGE_SECONDS: Final = {"testing": 86_400, "enforce": 604_800}
HOST_PREFIX: Final = "mta-sts."
PATH: Final = "/.well-known/mta-sts.txt"


def policy_text() -> str:
    """The policy that is served for each domain of ours; empty when there is none."""
    mode = current().mta_sts_mode
    if not mode:
        return ""
    named = [f"mx: {host}" for host in _hosts()]
    lines = ["version: STSv1", f"mode: {mode}", *named, f"max_age: {MAX_AGE_SECONDS[mode]}"]
    return "".join(f"{line}\r\n" for line in lines)


def _hosts() -> tuple[str, ...]:
    """Those that the policy names, on all machines the same where settings say so."""
    return current().policy_hosts or (django_settings.MAILSPOOL_HOSTNAME.lower(),)


def allows(host: str) -> bool:
    """Whether others who heed the policy send mail to that host; to all while there is none."""
    mode = current().mta_sts_mode
    return not mode or Policy(mode, _hosts(), MAX_AGE_SECONDS[mode]).allows(host)


def policy_id() -> str:
    """What the record says, so that others see that the policy is another one; empty when there is none."""
    text = policy_text()
    return sha256(text.encode()).hexdigest()[:20] if text else ""


class OwnPolicy:
    """Middleware, before the one that knows hosts: at mta-sts. below a domain of ours is the policy, and no page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != PATH:
            return self._get_response(request)
        host = request.META.get("HTTP_HOST", "").partition(":")[0].lower()
        text = policy_text()
        if request.method not in ("GET", "HEAD") or not text or not _is_ours(host):
            return HttpResponseNotFound("There is no policy for this host.\n", content_type="text/plain")
        return HttpResponse(text, content_type="text/plain; charset=utf-8")


def _is_ours(host: str) -> bool:
    domain = host.removeprefix(HOST_PREFIX)
    return domain != host and our_domain(domain) is not None


def look(records: Sequence[str], name: str) -> Verdict:
    """Whether others get the policy at that host, which may be an alias or not. Raises NoAnswer."""
    addresses = addresses_of(name)
    if not addresses:
        return missing(fact("Others look for the policy at this host, which the DNS does not know."))
    try:
        text = fetched_from(name, addresses[0])
    except NotFetched as error:
        return wrong(fact("The policy can't be fetched from there by HTTPS: %(why)s.", why=error.fact))
    if text.split() != policy_text().split():
        return wrong(fact("Another policy than that of this server is served there."))
    return right(fact("The policy is served there."))
