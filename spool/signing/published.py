"""Whether the DNS shows a key: asked of the domain's own name servers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from base.facts import NOTHING, Fact, fact
from base.name_servers import NameServers
from spool.models.dkim import DkimKey, KeyState

_WRONG: Final = "%(server)s: %(wrong)s"


@dataclass(frozen=True, slots=True)
class Found:
    """`problem` says what is wrong with the record, empty when all name servers show the key. `ttl_seconds` is the
    longest that they told."""

    problem: Fact
    ttl_seconds: int = 0


def look_for(key: DkimKey, servers: NameServers) -> Found:
    """The record of a key. Raises NoAnswer."""
    problem, longest = NOTHING, 0
    for answer in servers.look(key.name, "TXT"):
        longest = max(longest, answer.ttl_seconds)
        if wrong := wrong_with(answer.records, key):
            problem = problem or fact(_WRONG, server=answer.server, wrong=wrong)
    return Found(problem, longest)


def is_about_record(key: DkimKey) -> bool:
    """Whether what is kept of the last look says what is wrong with the record, and not why there was no answer."""
    return bool(key.found) and (key.found_fact or {}).get("say") == _WRONG


def lost_keys() -> QuerySet[DkimKey]:
    """Keys that signed until their record was found to be gone or wrong."""
    return DkimKey.objects.filter(state=KeyState.PREPARED, active__isnull=False).exclude(found="")


def wrong_with(texts: Sequence[str], key: DkimKey) -> Fact:
    """What keeps receivers from using the record (RFC 6376 3.6.1), empty if nothing does."""
    if not texts:
        return fact("there is no record yet")
    if len(texts) > 1:
        return fact("there are %(number)s records, where one is allowed", number=len(texts))
    tags = {}
    for part in texts[0].split(";"):
        name, _equals, value = part.partition("=")
        tags[name.strip()] = "".join(value.split())
    if tags.get("v", "DKIM1") != "DKIM1":
        return fact("it is no DKIM record (v=DKIM1)")
    if tags.get("k", "rsa") != key.algorithm:
        return fact(
            "it says k=%(found)s, the key is %(algorithm)s", found=tags.get("k", "rsa"), algorithm=key.algorithm
        )
    if not tags.get("p"):
        return fact("the key is revoked there (p= is empty)") if "p" in tags else fact("it has no p=")
    if tags["p"] != key.public_key:
        return fact("it shows another key")
    if "h" in tags and "sha256" not in tags["h"].split(":"):
        return fact("it allows only h=%(hashes)s", hashes=tags["h"])
    if "s" in tags and not {"*", "email"} & set(tags["s"].split(":")):
        return fact("it is not for mail (s=%(services)s)", services=tags["s"])
    return NOTHING
