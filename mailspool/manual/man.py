"""mailspool(8): what there is, in a sentence each."""

from __future__ import annotations

from mailspool import VERSION
from mailspool.manual.commands import described

_HEAD = """\
.TH MAILSPOOL 8 "" "Mailspool {version}" "System administration"
.SH NAME
mailspool \\- mail spool server: its accounts, its spool, its settings
.SH SYNOPSIS
.B mailspool
.I COMMAND
.RI [ VERB ]
.RI [ OPTION ...]
.SH DESCRIPTION
Each command works with the environment of the services, as their user: run it as root. It says what it takes with
.BR \\-\\-help .
.SH COMMANDS
"""
_TAIL = """\
.SH EXIT STATUS
0 done, 1 nothing matched or it was refused, 2 usage.
.SH FILES
.TP
.I /etc/mailspool/environment
Where Mailspool runs: addresses, database, host name.
.TP
.I /var/lib/mailspool
Spool, Maildirs and keys.
.TP
.I /usr/share/doc/mailspool
The documentation.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
"""


def page() -> str:
    """The page, for man(1)."""
    parts = [_HEAD.format(version=VERSION)]
    for command in described():
        parts.append(f".TP\n.B {_escaped(' '.join(command.words))}\n{_escaped(command.help or '–')}\n")
    return "".join([*parts, _TAIL])


def _escaped(text: str) -> str:
    """Text that roff takes for no command of its own."""
    line = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line[:1] in (".", "'") else line
