"""What the audit says of what is done to an installation as a whole, and about incidents."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext, gettext_lazy, ngettext

from base.audit import sentences
from base.audit.sentences import Event, put_together
from base.numbers import grouped


def _restored(event: Event) -> str:
    if event.parameters["hold"]:
        said = gettext("Restored: %(messages)s messages in the spool, all put on hold")
    else:
        said = gettext("Restored: %(messages)s messages in the spool")
    return said % {"messages": grouped(event.parameters["messages"])}


def _of_jobs(past: Callable[[int], str]) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        jobs, gone = event.parameters["jobs"], event.parameters["gone"]
        many = past(jobs["count"]) % {"number": grouped(jobs["count"])}
        return (gettext("%(many)s, %(gone)s had lapsed") % {"many": many, "gone": grouped(gone)}) if gone else many

    return said


def _checked(event: Event) -> str:
    bad = event.parameters["bad"]
    return (gettext("%(bad)s missing or wrong") % {"bad": bad}) if bad else gettext("Nothing is missing or wrong")


def _published(event: Event) -> str:
    put = "; ".join(f"{name} “{value}”" for name, value in event.parameters["put"].items())
    gone = "; ".join(event.parameters["gone"])
    instead = (gettext(", in the place of %(gone)s") % {"gone": gone}) if gone else ""
    return gettext("Put into the DNS by %(server)s: %(put)s%(instead)s") % {
        "server": event.parameters["server"],
        "put": put,
        "instead": instead,
    }


sentences.of_kinds(
    dict.fromkeys(
        (
            "DKIM key",
            "DNS update server",
            "SMTP block",
            "alert rule",
            "alias",
            "antispam settings",
            "antivirus settings",
            "blacklist entry",
            "check",
            "destination rule",
            "domain",
            "guard policy",
            "list",
            "list member",
            "login block",
            "login protection",
            "route",
            "settings",
            "signing in",
            "source address",
            "suppression",
            "throttling settings",
            "trusted sender",
            "user",
            "whitelist entry",
        ),
        "",
    )
)
sentences.of_kinds(
    {
        "destination": gettext_lazy("destination"),
        "domain defaults": gettext_lazy("defaults of domains"),
        "domain user defaults": gettext_lazy("a domain's defaults of users"),
        "ip": gettext_lazy("IP address"),
        "job": gettext_lazy("job"),
        "machine": gettext_lazy("machine"),
        "sender": gettext_lazy("sender"),
        "user defaults": gettext_lazy("defaults of users"),
    }
)
sentences.of_titles(
    {
        "job-retry": gettext_lazy("Run jobs again"),
        "job-forget": gettext_lazy("Forget jobs"),
        "restore": gettext_lazy("Restore a backup"),
        "mark folders": gettext_lazy("Accept folders"),
        "send test message": gettext_lazy("Send test message"),
        "end first run": gettext_lazy("Dismiss first steps"),
        "dns-check": gettext_lazy("Check DNS"),
        "dns-publish": gettext_lazy("Publish in DNS"),
        "stop": gettext_lazy("Stop"),
        "false-alarm": gettext_lazy("False alarm"),
    }
)
sentences.of_actions(
    {
        "job-retry": _of_jobs(lambda n: ngettext("%(number)s job queued again", "%(number)s jobs queued again", n)),
        "job-forget": _of_jobs(lambda n: ngettext("%(number)s job forgotten", "%(number)s jobs forgotten", n)),
        "restore": _restored,
        "mark folders": lambda _: gettext("Accepted as this installation's"),
        "send test message": lambda _: gettext("Sent"),
        "end first run": lambda _: gettext("Dismissed"),
        "dns-check": _checked,
        "dns-publish": _published,
        "stop": lambda event: put_together(event) or gettext("Stopped"),
        "false-alarm": lambda event: put_together(event) or gettext("Taken back"),
    }
)
