"""Inputs for a target: pieces of its language and of its corpus, in any order, cut, repeated and spoiled."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.target import Target

# What upsets readers of any language.
_SPOILERS = (
    b"",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\x7f",
    b"\x85",
    b"\xa0",
    b"\xff",
    b"\xe2\x80\xa8",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x92\xa9",
    b"\xef\xbb\xbf",
    b"\\",
    b'"',
    b"'",
    b"(",
    b")",
    b"<",
    b">",
    b"[",
    b"]",
    b"{",
    b"}",
    b";",
    b":",
    b",",
    b"=",
    b"@",
    b".",
    b"-",
    b"%",
    b"*",
    b"?",
    b"0",
    b"9" * 22,
    b"-1",
    b"1e999",
    b"nan",
    b"a" * 70,
)


def made(target: Target) -> st.SearchStrategy[bytes]:
    """Short ones of all kinds."""
    seeds = [path.read_bytes()[:4_000] for path in target.kept] or [b""]
    slices = st.tuples(st.sampled_from(seeds), st.integers(0, 4_000), st.integers(0, 4_000)).map(
        lambda chosen: chosen[0][min(chosen[1:]) : max(chosen[1:])]
    )
    piece = st.one_of(
        st.sampled_from(target.words),
        st.sampled_from(target.words),
        st.sampled_from(_SPOILERS),
        slices,
        st.binary(max_size=8),
        st.tuples(st.sampled_from(target.words), st.integers(2, 40)).map(lambda c: c[0] * c[1]),
    )
    return st.lists(piece, max_size=14).map(b"".join)


def pumped(target: Target) -> st.SearchStrategy[bytes]:
    """As long as may be: a few pieces, one of them again and again, a few more."""
    piece = st.one_of(st.sampled_from(target.words), st.sampled_from(_SPOILERS), st.binary(min_size=1, max_size=2))
    some = st.lists(piece, max_size=4).map(b"".join)
    loop = st.lists(piece, min_size=1, max_size=3).map(b"".join).filter(bool)
    return st.tuples(some, loop, some).map(
        lambda parts: (
            parts[0] + parts[1] * max(1, (target.longest - len(parts[0] + parts[2])) // len(parts[1])) + parts[2]
        )
    )
