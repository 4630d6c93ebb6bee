"""`manage.py scan FILE`: what the scanners and checks say of a message, which goes nowhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from accounts.management.terminal import TerminalCommand
from quarantine.models import AntispamSettings
from quarantine.trial import Envelope, Trial, try_content, try_file
from quarantine.virus.scan import Ruling
from spool.shell.output import Output, add_json

CLEAN, CAUGHT, USAGE = 0, 1, 2


class Command(TerminalCommand):
    """Exit status: 0 it would be delivered, 1 it would be caught, held or marked, 2 it can't be read."""

    help = "Ask the virus scanners and spam checks about a message. It is neither delivered nor kept."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", help="an .eml file; - for standard input")
        parser.add_argument("--sender", default="", metavar="ADDRESS", help="sender of the envelope; none is <>")
        parser.add_argument("--recipient", default="", metavar="ADDRESS", help="recipient of the envelope")
        parser.add_argument("--ip", default="", metavar="IP", help="IP address of the client")
        parser.add_argument("--ehlo", default="", metavar="NAME", help="EHLO name of the client")
        parser.add_argument(
            "--outbound", action="store_true", help="as outbound mail, of your own people; inbound without it"
        )
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        output = Output(self.stdout, options["json"])  # type: ignore[arg-type]
        envelope = Envelope(
            options["sender"], options["recipient"], options["ip"], options["ehlo"], options["outbound"]
        )
        try:
            if options["file"] == "-":
                trial = try_content(sys.stdin.buffer.read(), envelope)
            else:
                trial = try_file(Path(options["file"]), envelope)
        except OSError as error:
            self.stderr.write(f"{options['file']}: {error.strerror or error}")
            sys.exit(USAGE)
        sys.exit(_print(trial, output))


def _print(trial: Trial, output: Output) -> int:
    """Print what was said; the exit status."""
    scan, judgement = trial.scan, trial.judgement
    output.values(
        {
            "virus": {"ruling": scan.ruling.value, "why": scan.why, "answers": [a.as_json() for a in scan.answers]}
            if scan
            else None,
            "spam": {
                "score": judgement.score,
                "level": judgement.level.value,
                "unanswered": [one.check for one in judgement.unanswered],
                "results": [result.as_json() for result in judgement.results],
            }
            if judgement
            else None,
        }
    )
    if scan is None:
        output.line("No virus scanner is set.")
    else:
        words = {Ruling.PASS: "passes", Ruling.HOLD: "would be held", Ruling.QUARANTINE: "would be quarantined"}
        output.line(f"Virus check: {words[scan.ruling]}{f' ({scan.why})' if scan.why else ''}")
        for answer in scan.answers:
            output.line(f"  {answer.engine}: {answer.said.value} {answer.text}".rstrip())
    if judgement is None:
        output.line("No spam check is on for this direction.")
    else:
        output.line(f"Spam check: {judgement.why}, level {judgement.level.value}")
        if judgement.unanswered:
            settings, names = AntispamSettings.load(), ", ".join(one.check for one in judgement.unanswered)
            inbound, outbound = settings.get_inbound_unanswered_display(), settings.get_outbound_unanswered_display()
            output.line(f"  Not read by {names}. For such mail is set: inbound, {inbound}; outbound, {outbound}.")
        for result in judgement.results:
            points = "no answer" if result.failed else f"{result.points:g}"
            output.line(f"  {result.check}: {points} {result.text}".rstrip())
    marked = judgement is not None and judgement.level.value != "none"
    return CAUGHT if marked or (scan is not None and scan.ruling is not Ruling.PASS) else CLEAN
