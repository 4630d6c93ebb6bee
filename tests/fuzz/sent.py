"""What is made of a stranger's message and sent on: a list's copies, a trace line, a notice of failure."""

from __future__ import annotations

from accounts.local_addresses import LocalList
from accounts.models.lists import PostingPolicy
from spool.delivery.local import lists
from spool.dsn import compose, parse
from spool.message import authors, header
from spool.message.header import Header
from spool.smtpd.received import Way, trace_header
from tests.fuzz.target import Target
from tests.spool.dsn.support import NO_SUCH_USER, a_report, a_reported, assert_legal

_TRACE = b"Received: by mail.test (Mailspool) id 1\r\n"
_LIST = LocalList(
    1, "news@example.org", "example.org", (), "news-bounces@example.org", "", PostingPolicy.ANYONE, "[Grüße]"
)
_ADDED = ("list-id", "list-post", "list-unsubscribe", "precedence")


def send_to_list(data: bytes) -> None:
    lines, body = header.split(data)
    for as_itself in (False, True):
        said = lists.for_members(_LIST, data, _TRACE, as_itself=as_itself)
        assert said.startswith(_TRACE)
        assert said.endswith(body)
        fields = Header.of(said)
        for name in _ADDED:
            assert len(fields.all(name)) == 1, name
        if as_itself:
            assert authors.of_from(fields) == [_LIST.address]
    lists.is_looping(_LIST, lines)


def trace(data: bytes) -> None:
    name, _, content = data.partition(b"\n")
    way = Way(name.decode("utf-8", "replace"), "192.0.2.1", "mail.test", "ESMTP", "")
    for complete in (True, False):
        added = trace_header(way, content, complete=complete)
        # What we add ends where the message begins, and is whole fields.
        fields = Header.of(added + content)
        assert next(iter(fields))[0] == "Received"
        assert added.endswith(b"\r\n")


def report(data: bytes) -> None:
    """The first line is what the host said."""
    said, _, original = data.partition(b"\n")
    reply = said.decode("utf-8", "replace")
    for values in ({"ret": "HDRS"}, {"ret": "FULL"}, {"ret": "FULL", "smtputf8": True}):
        one = a_reported(reply=reply or NO_SUCH_USER)
        made = compose.compose(a_report(one, **values), original)
        assert_legal(made.content)
        assert made.eight_bit or made.content.isascii()
        [bounced] = parse.recognise(made.content, "") or ()
        assert (bounced.address, bounced.status) == ("bob@example.net", "5.1.1")


TARGETS = (
    Target("list", send_to_list, ("fields", "encoded-words")),
    Target("trace", trace, ("fields",)),
    Target("notice", report, ("fields", "reply", "mime")),
)
