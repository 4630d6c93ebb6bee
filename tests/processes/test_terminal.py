"""What commands print: whoever wrote it, a terminal shows it and does nothing else with it."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command, get_commands, load_command_class

from accounts import actions
from accounts.management.terminal import Printed, TerminalCommand, one_line, print_table, printable
from accounts.models import User
from mailspool.management.commands import check
from spool.actions import Refused
from spool.shell.export_file import write_out
from spool.shell.output import Output

# Clears the screen, turns text round, breaks the line in three ways, and is markup, a link and an emoji for rich.
HOSTILE = "\x1b[2J[all] \u202eexe.png\u2066 \x9b31m a\u2028b\u0085c\rd [link=http://x]:smile:[/link] \ud800\x07"
SHOWN = "\ufffd[2J[all] \ufffdexe.png\ufffd \ufffd31m a\ufffdb\ufffdc\ufffdd [link=http://x]:smile:[/link] \ufffd\ufffd"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def named(db: None) -> User:
    actions.add_domain("example.org")
    return actions.add_user("ann@example.org", "correct-horse-battery", name="[all] [red]:smile:[/red]")


@pytest.mark.parametrize("verb", ["list", "show"])
def test_a_name_is_shown_as_it_is_written(named: User, verb: str) -> None:
    out = io.StringIO()
    call_command("account", "user", verb, *(["ann@example.org"] if verb == "show" else []), stdout=out)
    assert "[all] [red]:smile:[/red]" in out.getvalue()


def test_a_list_of_accounts_goes_where_the_caller_wants_it_and_is_not_cut(named: User) -> None:
    User.objects.update(forward_to="\n".join(f"{'x' * 60}{number}@example.net" for number in range(5)))
    out = io.StringIO()
    call_command("account", "user", "list", stdout=out)
    assert [line for line in out.getvalue().splitlines() if "x4@example.net" in line and "ann@" in line]


@pytest.mark.parametrize("stream", [io.StringIO, _Terminal])
def test_neither_a_table_nor_a_line_nor_a_field_does_anything_to_the_terminal(stream: type[io.StringIO]) -> None:
    out = stream()
    written = Printed(out)
    print_table(written, [{"Subject": HOSTILE, "To": "[b]x[/b]"}], fold=False)
    output = Output(out, as_json=False)
    output.line(f"  {HOSTILE}")
    output.fields({"Subject": HOSTILE, "header": [HOSTILE, "next"]})
    text = out.getvalue()
    assert text.count(SHOWN) == 4 and "[b]x[/b]" in text
    assert all(letter.isprintable() or letter == "\n" for letter in text)


def test_a_value_with_an_end_of_line_makes_no_line_of_its_own() -> None:
    out = io.StringIO()
    Output(out, as_json=False).fields({"Subject": "hello\nStatus: Delivered"})
    assert out.getvalue() == "Subject: hello Status: Delivered\n"


def test_an_export_to_a_terminal_is_shown_and_obeyed_by_nobody(
    named: User, monkeypatch: pytest.MonkeyPatch, home: object
) -> None:
    User.objects.update(name="\x1b]0;title\x07Ann")
    monkeypatch.setattr(sys, "stdout", screen := _Terminal())
    call_command("account", "export", "--no-passwords")
    assert "ann@example.org" in screen.getvalue() and "\x1b" not in screen.getvalue()
    with pytest.raises(Refused, match="nothing for a terminal"):
        write_out([b"PK"], {"output": "-", "format": "zip"}, Output(screen, as_json=False))
    write_out([b"a,\x1b[2J\r\nb"], {"output": "-", "format": "csv"}, Output(screen, as_json=False))
    assert screen.getvalue().endswith("a,\ufffd[2J\nb")


def test_what_a_stream_cannot_encode_is_replaced() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="latin-1")
    Printed(out).write("na\u00efve \u2713 \ud800")
    out.flush()
    assert raw.getvalue() == "na\u00efve ? ?\n".encode("latin-1")


def test_usual_text_stays() -> None:
    for text in ("Grüße, 日本語, שלום 👍", "", "a\tb"):
        assert printable(text) == one_line(text) == text.replace("\t", " ")


def test_every_command_of_ours_prints_that_way() -> None:
    base = Path(settings.BASE_DIR)
    ours = {name: app for name, app in get_commands().items() if isinstance(app, str) and (base / app).is_dir()}
    assert "account" in ours and "spool" in ours
    for name, app in ours.items():
        command = load_command_class(app, name)
        # Django's check, which is coloured; it prints what is wrong here by the same functions.
        assert isinstance(command, TerminalCommand | check.Command), name
