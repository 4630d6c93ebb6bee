"""Runs a `manage.py` command in a process that counts no traffic: what counting costs is the difference.

python -m bench.uncounted COMMAND …
"""

from __future__ import annotations

import os
import sys

import django
from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
django.setup()

from spool.rows import traffic_batches  # noqa: E402 – models can be imported only now

traffic_batches._keep = lambda batch: None
execute_from_command_line(["manage.py", *sys.argv[1:]])
