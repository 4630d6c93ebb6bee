"""Patterns of addresses, domains and hosts' names: their spelling, and a set of them that is quick to ask.

`*` stands for any text and `?` for one character. Nothing else has a meaning of its own.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from django.utils.translation import gettext

from accounts.addresses import InvalidAddress, domain_of, key_of, normalise_domain, split_address

MOST_WILDCARDS = 8


class BadPattern(ValueError):
    """The text can't match anything that occurs; the message says what would."""


def normal_pattern(text: str, kind: str) -> str:
    """The one spelling of a pattern of that BlockKind: lower case, domains in A-labels. Raises BadPattern."""
    text = text.strip().lower()
    if not text:
        raise BadPattern(gettext("Say which."))
    if any(character.isspace() or not character.isprintable() for character in text):
        raise BadPattern(gettext("%(text)s has a space or a control character.") % {"text": f"{text[:80]!r}"})
    if kind == "address":
        return _address(text)
    if kind == "domain":
        text = text.removeprefix("@")
        if "@" in text:
            raise BadPattern(
                gettext("%(text)s is an address; choose the type for addresses, or write the domain alone.")
                % {"text": text}
            )
        return _domain(text)
    if "@" in text:
        raise BadPattern(
            gettext("%(text)s is an address; a host introduces itself with a domain, as in mail.example.org.")
            % {"text": text}
        )
    # What a host says of itself may be anything: [127.0.0.1], localhost, a name that no DNS knows.
    return _limited(text.rstrip(".") or text)


def kind_of(pattern: str) -> str:
    """`address` or `domain`, by how the pattern looks. `@example.org` and `*@example.org` are the domain."""
    local_part, at, _ = pattern.strip().rpartition("@")
    return "address" if at and local_part not in ("", "*") else "domain"


def bare(pattern: str) -> str:
    """A pattern for all of a domain, without the part that says "all of"."""
    return pattern.strip().removeprefix("*@").removeprefix("@")


def _address(text: str) -> str:
    if "@" not in text:
        raise BadPattern(
            gettext("%(text)s has no @; choose the type for domains, or write an address as in ann@example.org.")
            % {"text": text}
        )
    if _is_wild(text):
        local_part, _, domain = text.rpartition("@")
        if not local_part or not domain:
            raise BadPattern(
                gettext("%(text)s needs something before and after the @; * stands for any text.") % {"text": text}
            )
        return f"{_limited(local_part)}@{_domain(domain)}"
    try:
        split_address(text)
        return key_of(text)
    except InvalidAddress as error:
        raise BadPattern(f"{error}.") from error


def _domain(text: str) -> str:
    if _is_wild(text):
        if not text.strip("*.?"):
            raise BadPattern(gettext("%(text)s would match every domain.") % {"text": text})
        return _limited(text.rstrip("."))
    try:
        return normalise_domain(text)
    except InvalidAddress as error:
        raise BadPattern(f"{error}.") from error


def _limited(text: str) -> str:
    if sum(map(text.count, "*?")) > MOST_WILDCARDS:
        raise BadPattern(
            gettext("%(text)s has more than %(most_wildcards)s wildcards.")
            % {"text": text[:80], "most_wildcards": MOST_WILDCARDS}
        )
    return re.sub(r"\*+", "*", text)


def _is_wild(text: str) -> bool:
    return "*" in text or "?" in text


@dataclass(frozen=True, slots=True)
class Rule:
    """One block: the number by which it is found again, and its pattern."""

    id: int
    pattern: str


class NameSet:
    """Rules about names. Plain names and `*.parent` cost one access for each label, others a match each."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._exact: dict[str, Rule] = {}
        self._below: dict[str, Rule] = {}
        self._wild: list[tuple[re.Pattern[str], Rule]] = []
        for rule in rules:
            if not _is_wild(rule.pattern):
                self._exact[rule.pattern] = rule
            elif rule.pattern.startswith("*.") and not _is_wild(rule.pattern[2:]):
                self._below[rule.pattern[2:]] = rule
            else:
                self._wild.append((_compiled(rule.pattern), rule))

    def __bool__(self) -> bool:
        return bool(self._exact or self._below or self._wild)

    def find(self, name: str) -> Rule | None:
        """The rule about `name`, which is in lower case."""
        found = self._exact.get(name)
        if found is not None:
            return found
        if self._below:
            _, dot, rest = name.partition(".")
            while dot:
                if (found := self._below.get(rest)) is not None:
                    return found
                _, dot, rest = rest.partition(".")
        return next((rule for matcher, rule in self._wild if matcher.match(name)), None)


class SenderSet:
    """Rules about envelope senders: whole addresses, and domains."""

    def __init__(self, addresses: Iterable[Rule] = (), domains: Iterable[Rule] = ()) -> None:
        self._exact: dict[str, Rule] = {}
        # Of patterns, only those whose domain is plain can be told by it; the others are tried one by one.
        self._in_domain: dict[str, list[tuple[re.Pattern[str], Rule]]] = {}
        self._anywhere: list[tuple[re.Pattern[str], Rule]] = []
        self._domains = NameSet(domains)
        for rule in addresses:
            domain = rule.pattern.rpartition("@")[2]
            if not _is_wild(rule.pattern):
                self._exact[rule.pattern] = rule
            elif not _is_wild(domain):
                self._in_domain.setdefault(domain, []).append((_compiled(rule.pattern), rule))
            else:
                self._anywhere.append((_compiled(rule.pattern), rule))

    def __bool__(self) -> bool:
        return bool(self._exact or self._in_domain or self._anywhere or self._domains)

    def find(self, address: str) -> Rule | None:
        """The rule about mail from `address`; the null sender has none."""
        address = key_of(address)
        domain = address.rpartition("@")[2]
        if not domain:
            return None
        found = self._exact.get(address) or self._domains.find(domain)
        if found is not None:
            return found
        for matcher, rule in self._in_domain.get(domain, ()):
            if matcher.match(address):
                return rule
        return next((rule for matcher, rule in self._anywhere if matcher.match(address)), None)

    def find_domain(self, domain: str) -> Rule | None:
        """The rule about all mail from `domain`."""
        return self._domains.find(domain_of(f"@{domain}"))


@lru_cache(20_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Of fnmatch's own signs, [ has a meaning too; here it begins an address literal.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
