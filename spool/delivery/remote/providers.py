"""Which mail hosts are one receiver: a site. What limits count there, they count for all of its hosts together.

A receiver that many domains have their mail with is known by what the names of its hosts end with (providers.txt, to
which `providers.txt` in the home adds). Of other domains the set of their hosts is the site.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from django.conf import settings

from base.short_cache import ShortCache

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 60.0
_OURS: Final = Path(__file__).with_name("providers.txt")


def site_of(names: Iterable[str]) -> str:
    """The site that these hosts are: of a provider when all of them are its, else they themselves."""
    hosts = sorted(set(names))
    table = _table.current()
    providers = {_provider(name, table) for name in hosts}
    found = providers.pop() if len(providers) == 1 else ""
    return found or " ".join(hosts)


def names() -> list[str]:
    """The providers that are known, by name."""
    return sorted(set(_table.current().values()))


def forget() -> None:
    """Have the tables read again."""
    _table.forget()


def parse(text: str) -> Iterator[tuple[str, str]]:
    """(what names end with, the provider's name) of each line: `SUFFIX NAME`. What follows `#` is a remark."""
    for line in text.splitlines():
        suffix, _, name = line.partition("#")[0].strip().partition(" ")
        if suffix and name.strip():
            yield suffix.lower().strip("."), name.strip()


def _provider(host: str, table: Mapping[str, str]) -> str:
    """By the longest of the suffixes, label by label."""
    rest = host
    while rest:
        if rest in table:
            return table[rest]
        rest = rest.partition(".")[2]
    return ""


def _read() -> Mapping[str, str]:
    table = dict(parse(_OURS.read_text()))
    try:
        table.update(parse((settings.HOME.root / "providers.txt").read_text(errors="replace")))
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("providers.txt of the home can't be read: %s", error)
    return table


_table = ShortCache(FRESH_SECONDS, _read)
