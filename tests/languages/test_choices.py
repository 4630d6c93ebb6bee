"""What there is to choose from is called something for people, in the language of whoever looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

from django.db.models import Choices, IntegerChoices, TextChoices
from django.utils import translation
from django.utils.functional import Promise

from mailspool.catalogues import _APPS

# Words that German has in common with English, and names of protocols, programs and algorithms.
_COMMON = re.compile(
    r"Passkey|Optional|Spool|Domain|Spam|Virus|Normal|Web"
    r"|SMTP|TLS|DMARC|SPF|DKIM|Reverse DNS|Ed25519|Rspamd|SpamAssassin \(spamd\)"
)


def test_each_choice_is_called_something_that_is_put_into_a_language_when_it_is_shown() -> None:
    fixed = [f"{choice!r}" for choice in _choices() if not isinstance(choice._label_, Promise)]
    assert fixed == []


def test_each_choice_is_called_something_in_german() -> None:
    same = set()
    for choice in _choices():
        with translation.override("de"):
            german = str(choice.label)
        if german == str(choice.label) and not _COMMON.fullmatch(german):
            same.add(f"{choice!r}: {german}")
    assert same == set()


def _choices() -> Iterator[Choices]:
    for app in _APPS:
        for found in walk_packages(import_module(app).__path__, f"{app}."):
            if ".models" in found.name:
                import_module(found.name)
    kinds = [kind for base in (TextChoices, IntegerChoices) for kind in base.__subclasses__()]
    ours = [kind for kind in kinds if kind.__module__.partition(".")[0] in _APPS]
    assert len(ours) > 40
    for kind in ours:
        yield from kind
