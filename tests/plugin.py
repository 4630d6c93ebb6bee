"""Gives every test run a home of its own, before Django reads its settings.

Loaded by `-p tests.plugin` (see pyproject.toml): pytest-django sets Django up before it looks at any conftest.py.
A DATABASE_URL in the environment is kept; without one the tests run on a SQLite file in the home.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ.pop("REDIS_URL", None)
# Always a new one: a worker of pytest-xdist inherits its parent's.
HOME = Path(tempfile.mkdtemp(prefix="mailspool-test-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ["MAILSPOOL_HOME"] = str(HOME)
os.environ["MAILSPOOL_HOSTNAME"] = "mail.test"
os.environ["MAILSPOOL_BIND"] = "127.0.0.1"
os.environ["MAILSPOOL_DNS"] = ""
# Tests in this process look at files; tests/spool/test_contents.py is about messages that have none.
os.environ["MAILSPOOL_INLINE_KB"] = "0"
os.environ["TZ"] = "UTC"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
