"""Readers of what other servers answer: hosts, engines, the DNS, policies, other processes."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import json
from pathlib import Path
from typing import Any

import dns.message
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset
import spf

from accounts.connections.connection import Match
from quarantine.engines import authentication, dmarc, rspamd, sessions, spamd
from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import Examined
from spool.delivery import replies
from spool.delivery.remote import mta_sts, mx, policy_fetch
from spool.delivery.shaping import classes
from spool.message.summary import storable
from tests.fuzz.target import Target


def read_reply(data: bytes) -> None:
    async def read() -> list[replies.Reply]:
        reader = asyncio.StreamReader(limit=replies.LONGEST_LINE)
        reader.feed_data(data)
        reader.feed_eof()
        found = []
        while True:
            try:
                found.append(await replies.read_reply(reader))
            except replies.BrokenReply as error:
                str(error).encode()
                return found

    for reply in asyncio.run(read()):
        assert 200 <= reply.code <= 599
        assert len(reply.lines) <= replies.MOST_LINES
        assert "\n" not in reply.text
        reply.text.encode()
        assert reply.enhanced[0] in "245"
        assert len(replies.error_group(reply.text)) <= replies.LONGEST_GROUP
        _classify(reply.code, reply.enhanced, reply.text)


def classify_reply(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for code, enhanced in ((421, "4.7.0"), (450, "4.2.2"), (550, "5.7.1")):
        _classify(code, enhanced, text)


def _classify(code: int, enhanced: str, text: str) -> None:
    found = classes.classify(code, enhanced, text)
    assert found is classes.classify(code, enhanced, text[: classes.LONGEST_TEXT])
    assert code >= 400 or found is classes.ReplyClass.OTHER
    seconds = classes.wait_asked_for(text)
    assert seconds is None or 0 <= seconds <= 99_999 * 3600


def _is_text(text: str) -> None:
    """What any database takes."""
    text.encode()
    assert "\0" not in text


def read_engine(data: bytes) -> None:
    """The answers of spamd, Rspamd and clamd."""
    for understand in (spamd.understand, rspamd.understand):
        try:
            points, hits = understand(data)
        except EngineFailed as error:
            _is_text(str(error))
            continue
        assert isinstance(points, float)
        _is_text(hits)
        assert len(hits) <= 400
    try:
        _is_text(sessions.understand(data.partition(b"\0")[0].decode("utf-8", "replace")))
    except EngineFailed as error:
        _is_text(str(error))


def read_policy(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        policy = mta_sts.parse_policy(text)
    except mta_sts.InvalidPolicy as error:
        str(error).encode()
    else:
        assert policy.mode in ("enforce", "testing", "none")
        assert 0 <= policy.max_age_seconds <= mta_sts.LONGEST_AGE_SECONDS
        assert len(policy.mx) <= mta_sts.MOST_MX
        policy.allows("mx.example.org")
    mta_sts.parse_record(text.split("\n"))


def read_web(data: bytes) -> None:
    """The whole answer of a web server that is asked for a policy."""

    async def read() -> bytes:
        reader = asyncio.StreamReader(limit=policy_fetch.LARGEST_HEAD_BYTES)
        reader.feed_data(data)
        reader.feed_eof()
        return await policy_fetch._body(reader)

    try:
        content = asyncio.run(read())
    except (
        policy_fetch.NotFetched,
        asyncio.IncompleteReadError,
        asyncio.LimitOverrunError,
        http.client.HTTPException,
        ValueError,
    ) as error:
        # As `fetch` takes them.
        str(error).encode("utf-8", "backslashreplace")
        return
    assert len(content) <= policy_fetch.LARGEST_POLICY_BYTES


def read_dmarc_record(data: bytes) -> None:
    tags = dmarc._tags(data.decode("utf-8", "replace"))
    assert not tags or tags["p"] in dmarc._WISHES
    if tags:
        for own in (True, False):
            assert dmarc._wish(tags, own) in dmarc._WISHES


def check_spf(data: bytes) -> None:
    """Each line is what the DNS has for one name after the other, again and again."""
    records = [line[:60_000] for line in data.split(b"\n")] or [b""]
    asked = 0

    def answer(name: str, kind: str, *more: Any, **named: Any) -> list[Any]:
        nonlocal asked
        asked += 1
        record = records[asked % len(records)]
        if kind in ("TXT", "SPF"):
            return [((name, kind), (record,))]
        if kind == "MX":
            return [((name, kind), (10, record[:200].decode("latin-1")))]
        return [((name, kind), "192.0.2.1" if kind == "A" else "2001:db8::1" if kind == "AAAA" else "mx.example.org")]

    before, spf.DNSLookup = spf.DNSLookup, answer
    try:
        examined = Examined(Path("none"), 0, "ann@example.org", client_ip="192.0.2.1", ehlo_name="mx.example.org")
        result = authentication._check_spf(examined)
    finally:
        spf.DNSLookup = before
    assert result.result in ("none", "neutral", "pass", "fail", "softfail", "temperror", "permerror")
    assert asked <= 200
    _is_text(storable(result.text))


class _Resolver:
    """Answers each question with a line of the input as the data of its record."""

    lifetime = 0.0

    def __init__(self, data: bytes) -> None:
        self._lines = data.split(b"\n") or [b""]
        self._asked = 0

    async def resolve(self, name: str, kind: str, **more: Any) -> dns.resolver.Answer:
        self._asked += 1
        line = self._lines[self._asked % len(self._lines)]
        if kind == "MX":
            labels = [label[:63] for label in line[1:].split(b".") if label][:10]
            line = b"\0" + line[:1] + b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
        elif kind == "TXT":
            line = b"".join(bytes([len(text)]) + text for text in (line[:255], line[255:510]))
        else:
            line = (line + bytes(16))[: 4 if kind == "A" else 16]
        query = dns.message.make_query(name, kind)
        response = dns.message.make_response(query)
        record = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.from_text(kind), line, 0, len(line))
        response.answer.append(dns.rrset.from_rdata(query.question[0].name, 300, record))
        return dns.resolver.Answer(query.question[0].name, record.rdtype, record.rdclass, response)


def read_dns(data: bytes) -> None:
    async def ask() -> None:
        exchangers = mx.Exchangers("mail.test", "127.0.0.1:9")
        exchangers._resolver = _Resolver(data)  # type: ignore[assignment]
        for use_mx in (True, False):
            try:
                for host in await exchangers.hosts("example.org", use_mx=use_mx):
                    ipaddress.ip_address(host.ip)
                    _is_text(host.name)
            except mx.NoRoute as error:
                _is_text(error.reply)
                assert "\n" not in error.reply
        for text in await exchangers.texts("example.org"):
            mta_sts.parse_record([text])

    asyncio.run(ask())


def read_question(data: bytes) -> None:
    """What comes through Redis: a question for connections."""
    try:
        given = json.loads(data)
        match = Match.from_json(given["match"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # As the edge of the listener's task takes it.
        return
    if all(isinstance(user, str) for user in match.users):
        assert Match.from_json(json.loads(json.dumps(match.as_json()))) == match


TARGETS = (
    Target("reply", read_reply),
    Target("classes", classify_reply, ("reply",)),
    Target("engine", read_engine),
    Target("policy", read_policy, longest=64 * 1024),
    Target("web", read_web),
    Target("dmarc", read_dmarc_record, longest=64 * 1024),
    Target("spf", check_spf, longest=64 * 1024, seconds=10.0),
    Target("dns", read_dns, ("spf",), longest=4 * 1024),
    Target("question", read_question),
)
