"""The arguments of MAIL and RCPT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spool.smtpd.verbs.parameters import BadParameter, parse_path


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        ("FROM:<ann@example.org>", "ann@example.org", {}),
        ("from: <ann@example.org> size=10 BODY=8BITMIME", "ann@example.org", {"SIZE": "10", "BODY": "8BITMIME"}),
        ("FROM:<>", "", {}),
        ("FROM:<@relay.test:ann@example.org>", "ann@example.org", {}),
        ('FROM:<"a> b"@example.org>', '"a> b"@example.org', {}),
        ("FROM:<ann@example.org> ENVID=Ab+2B", "ann@example.org", {"ENVID": "Ab+2B"}),
    ],
)
def test_a_path_and_its_parameters_are_told_apart(argument: str, address: str, parameters: dict[str, str]) -> None:
    found = parse_path("FROM", argument)
    assert found.address == address
    assert found.parameters == parameters


@pytest.mark.parametrize(
    "argument", [None, "", "ann@example.org", "FROM:", "FROM:<ann", "FROM:<a@b>SIZE=1", "FROM:<a@b> SIZE=1 SIZE=2"]
)
def test_what_is_no_path_is_refused_with_a_reply(argument: str | None) -> None:
    with pytest.raises(BadParameter) as refused:
        parse_path("FROM", argument)
    assert refused.value.reply.startswith("501 5.")


_atoms = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~\u00e4", min_size=1, max_size=8)
_inside_quotes = st.sampled_from([*"ab @<>()[],;:. ", "\\\\", '\\"'])
_quoted = st.lists(_inside_quotes, max_size=10).map("".join).map('"{}"'.format)
_local_parts = st.lists(_atoms, min_size=1, max_size=3).map(".".join) | _quoted
_addresses = st.tuples(_local_parts, st.sampled_from(["example.org", "[192.0.2.1]", "b\u00fccher.test"])).map("@".join)
_names = st.sampled_from(["SIZE", "body", "Ret", "ENVID", "SMTPUTF8", "X-A"])
_values = st.text("abc=<>;,+019", max_size=6)


@given(
    address=_addresses,
    parameters=st.dictionaries(_names, _values, max_size=4),
    route=st.sampled_from(["", "@a.test:", "@a.test,@b.test:"]),
    spaces=st.sampled_from(["", " "]),
    keyword=st.sampled_from(["FROM", "from", "From"]),
)
def test_every_valid_path_is_read_as_it_was_put_together(
    address: str, parameters: dict[str, str], route: str, spaces: str, keyword: str
) -> None:
    words = "".join(f" {name}={value}" if value else f" {name}" for name, value in parameters.items())
    found = parse_path("FROM", f"{keyword}:{spaces}<{route}{address}>{words}")
    assert found.address == address
    assert found.parameters == {name.upper(): value for name, value in parameters.items()}


@given(st.text())
def test_no_text_at_all_breaks_the_parser(text: str) -> None:
    for argument in (text, f"TO:{text}", f"TO:<{text}>"):
        try:
            found = parse_path("TO", argument)
        except BadParameter as error:
            assert error.reply[:3].isdigit()
        else:
            assert not any(character < " " for character in found.address)
