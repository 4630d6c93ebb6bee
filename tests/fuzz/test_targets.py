"""All targets with the inputs of their corpus, with inputs that are made up, and with inputs as long as may be."""

from __future__ import annotations

import os
import time
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import inputs
from tests.fuzz.all import TARGETS
from tests.fuzz.target import Target

LONG: Final = bool(os.environ.get("MAILSPOOL_LONG"))
pytestmark = pytest.mark.django_db
every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
# Nothing is shrunk in the long run but what failed; a found input is kept by hand, in the corpus.
quietly = settings(
    database=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@every_target
def test_inputs_of_the_corpus(target: Target) -> None:
    assert target.kept, f"tests/fuzz/corpus/{target.name} is empty"
    for path in target.kept:
        target.run(path.read_bytes())


@every_target
@settings(quietly, max_examples=2_000 if LONG else 25)
@given(data=st.data())
def test_inputs_that_nobody_wrote(target: Target, data: st.DataObject) -> None:
    target.run(data.draw(inputs.made(target)))


@pytest.mark.long
@pytest.mark.parametrize("target", [one for one in TARGETS if one.pumped], ids=lambda target: target.name)
@settings(quietly, max_examples=150, phases=(Phase.generate,))
@given(data=st.data())
def test_the_longest_inputs_take_a_bounded_time(target: Target, data: st.DataObject) -> None:
    text = data.draw(inputs.pumped(target))
    began = time.thread_time()
    target.run(text)
    spent = time.thread_time() - began
    assert spent < target.seconds, f"{spent:.1f} s for {len(text):,} bytes: {text[:120]!r} … {text[-60:]!r}"
