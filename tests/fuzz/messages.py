"""Readers of messages: header, words, parts, reports, addresses, DKIM, what is forged, and a dropped file."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from typing import Any

from accounts.addresses import InvalidAddress, normalise_address, normalise_domain, split_address
from quarantine.engines import authentication, dmarc
from quarantine.engines.examined import Examined
from quarantine.spam import forged
from spool.delivery import trace_headers
from spool.dropfolder import dropped
from spool.dsn import feedback, parse, xtext
from spool.message import address_list, authors, charset, encoded_words, header, parameters, structure, summary
from spool.message import safe_html_process as html_process
from tests.fuzz.target import Target


def _is_line(text: str, longest: int = 255) -> None:
    """What any database and page takes, as one line."""
    assert len(text) <= longest
    assert "\0" not in text
    assert "\n" not in text
    text.encode()


def read_header(data: bytes) -> None:
    lines, rest = header.split(data)
    assert lines + rest == data
    assert b"".join(header.raw_fields(lines)) == lines
    fields = header.Header(lines)
    for name, value in fields:
        assert name.lower() in fields
        assert value in fields.all(name.lower())
        parameters.split_value(value)
    header.hops(lines)
    header.is_whole(data)
    for text in summary.summary_of(data):
        _is_line(text)
    trace_headers.passed_through(lines)
    unfolded = lines.replace(b"\r\n", b"\n")
    assert b"".join(trace_headers.fields_of(lines)) == unfolded


def read_words(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    said = encoded_words.decode(text)
    assert said == text or "=?" in text
    _is_line(summary.decoded(data))


def read_charset(data: bytes) -> None:
    label, _, raw = data.partition(b"\n")
    assert "\0" not in charset.text_of(raw, label.decode("latin-1"))


def read_parts(data: bytes) -> None:
    found = structure.structure_in(data)
    assert len(found.parts) <= structure.MOST_PARTS
    for part in found.parts:
        assert 0 <= part.start <= part.end <= len(data)
        assert len(part.name) <= 200
        _is_line(part.name)
    for part in found.parts[:5]:
        structure.body_in(data, part, 64 * 1024)


def read_report(data: bytes) -> None:
    for sender in ("", "ann@example.org"):
        for one in parse.recognise(data, sender) or ():
            assert "@" in one.address
            _is_line(one.address, 320)
            _is_line(one.diagnostic, 500)
            assert not one.status or re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", one.status)


def read_feedback(data: bytes) -> None:
    found = feedback.recognise(data)
    if found is not None:
        assert not found.recipient or "@" in found.recipient
        _is_line(found.recipient, 320)
        _is_line(found.message_id, 255)
        _is_line(found.reporter, 200)


def read_forged(data: bytes) -> None:
    lines = header.block(data)
    left_out = forged.forged_in(lines)
    kept = trace_headers.without_fields(data, left_out)
    assert not forged.forged_in(header.block(kept)) or not left_out
    forged.authserv_id(data.decode("utf-8", "replace"))


def read_domains(data: bytes) -> None:
    examined = Examined(Path("none"), len(data), "ann@example.org", held=data)
    try:
        found = dmarc.from_domains(examined)
    except dmarc.TooMuch:
        return
    for domain in found:
        assert normalise_domain(domain) == domain


def read_authors(data: bytes) -> None:
    try:
        found = authors.senders(header.Header.of(data))
    except authors.Unclear as error:
        _is_line(str(error))
        return
    assert len(found) <= authors.MOST
    assert all("@" in address for address in found)


def read_recipients(data: bytes) -> None:
    found = address_list.read(data.decode("utf-8", "replace"))
    for address in found.addresses:
        split_address(address)
    for doubt in found.doubts:
        _is_line(doubt, 500)


def check_dkim(data: bytes) -> None:
    """The first line is what the DNS has for the key."""
    key, _, content = data.partition(b"\n")
    asked, authentication._txt = authentication._txt, lambda *_, **__: key  # type: ignore[assignment]
    try:
        examined = Examined(Path("none"), len(content), "ann@example.org", held=content)
        for one in authentication._check_dkim(examined):
            assert one.result in ("pass", "fail", "neutral", "permerror", "temperror")
            assert len(one.text) <= 200
    finally:
        authentication._txt = asked


def read_address(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for parser in (split_address, normalise_address, normalise_domain):
        try:
            said: Any = parser(text)
        except InvalidAddress as error:
            str(error).encode("utf-8", "surrogateescape")
            continue
        if isinstance(said, str):
            assert parser(said) == said
    try:
        assert xtext.decode(xtext.encode(text)) == text
    except (xtext.InvalidParameter, UnicodeEncodeError):
        # Only ASCII has this form.
        assert not text.isascii()
    for reader in (
        xtext.decode,
        xtext.decode_utf8,
        xtext.parse_envid,
        xtext.parse_notify,
        xtext.parse_orcpt,
        xtext.parse_ret,
    ):
        try:
            reader(text)
        except xtext.InvalidParameter:
            continue


def read_dropped(data: bytes) -> None:
    try:
        message = dropped.addressed(data, "drop folder")
    except dropped.Unreadable as error:
        str(error).encode("utf-8", "backslashreplace")
        return
    for address in [*message.recipients, *([message.sender] if message.sender else [])]:
        split_address(address)


class _Tags(html.parser.HTMLParser):
    """Finds whatever could act."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in html_process._TAGS.split(), tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("srcdoc", "action", "formaction", "href"), name
            if name == "src":
                assert (value or "").startswith("data:"), value


def clean_html(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    said = html_process.clean(text, {"x": "data:image/png;base64,QUJD"})
    assert len(said["links"]) <= html_process.MOST_LINKS
    parser = _Tags()
    parser.feed(said["body"])
    parser.close()
    html_process.plain(text)


TARGETS = (
    Target("header", read_header, ("fields", "encoded-words")),
    Target("words", read_words, ("encoded-words",)),
    Target("charset", read_charset),
    Target("parts", read_parts, ("mime", "fields"), longest=2 * 1024 * 1024),
    Target("report", read_report, ("mime", "fields")),
    Target("feedback", read_feedback, ("mime", "fields")),
    Target("forged", read_forged, ("fields",)),
    Target("domains", read_domains, ("fields", "encoded-words")),
    Target("authors", read_authors, ("fields", "domains")),
    Target("recipients", read_recipients, ("domains", "address", "encoded-words")),
    Target("dkim", check_dkim, ("fields",)),
    Target("address", read_address, longest=4 * 1024),
    Target("dropped", read_dropped, ("fields", "encoded-words")),
    Target("html", clean_html, pumped=False),
)
