"""Runs a `manage.py` command in a process to which all mail is of one sender: what shares cost is the difference.

python -m bench.unshared COMMAND …
"""

from __future__ import annotations

import os
import sys

import django
from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
django.setup()

from spool.flow.shares import Shares  # noqa: E402 – models can be imported only now

Shares.wait = lambda self, envelope, sender_domain, now: 0.0  # type: ignore[method-assign]
execute_from_command_line(["manage.py", *sys.argv[1:]])
