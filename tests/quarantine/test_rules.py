"""The expressions of rules that are taken, and those that are not."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from quarantine.models.check import compile_rule


@pytest.mark.parametrize("pattern", ["(?R)|a", "a(?1)?(b)", "(?P<x>a(?&x)?)", "(?P<x>a)(?P>x)", r"\\(?R)", "(?-1)"])
def test_a_rule_that_calls_its_own_groups_is_refused(pattern: str) -> None:
    # Searching for some of them does not end, whatever time it is given.
    with pytest.raises(ValidationError, match="call its own groups"):
        compile_rule(pattern)


@pytest.mark.parametrize("pattern", [r"\(?R\)", "(?i:a)(?P<x>b)(?P=x)", "(?:cheap){e<=2}", r"\(?1\)?"])
def test_what_only_looks_like_it_is_taken(pattern: str) -> None:
    assert compile_rule(pattern)


def test_one_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ValidationError, match="nested too deeply"):
        compile_rule("(?:" * 400 + ")" * 400)
