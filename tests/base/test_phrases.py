"""Lists in sentences."""

from __future__ import annotations

import pytest

from base.phrases import first_few


@pytest.mark.parametrize(
    ("things", "shown"),
    [((), ""), (("ann",), "ann"), (("ann", "bob"), "ann, bob"), (range(2000), "0, 1 and 1,998 more")],
)
def test_the_first_few_are_named_and_the_rest_counted(things: tuple[object, ...] | range, shown: str) -> None:
    assert first_few(things, 2) == shown
