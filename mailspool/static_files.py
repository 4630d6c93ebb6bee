"""Scripts, styles and fonts as browsers keep them: under names that change with their content, and compressed.

`python -m mailspool.prepare` makes those copies in the home, from the packages that are installed; WhiteNoise serves
them. Without the copies (tests, a command of Django's) the files themselves are served under their own names.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

# What the copies were made of.
_MARK = "made-of"


class Storage(CompressedManifestStaticFilesStorage):
    """Names of copies, or of the file itself where there is no copy."""

    def create_compressor(self, **options: Any) -> Compressor:
        """By gzip alone, also where Brotli is installed: that takes seconds of a first start for a tenth less."""
        return Compressor(**options, use_brotli=False)

    def stored_name(self, name: str) -> str:
        """The name of a file's copy as it stands in addresses."""
        return str(super().stored_name(name)) if name in self.hashed_files else name


def _made_of() -> str:
    """A digest of which files there are, and of when they were changed."""
    found = hashlib.sha256()
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda one: one[0]):
            path = Path(storage.path(name))
            state = path.stat()
            found.update(f"{name}\0{path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return found.hexdigest()


def collect() -> bool:
    """Make the copies, if there are none of just these files. True if they were made.

    Copies of earlier files stay for a while where another program still names them: a browser that has a page open
    asks for its files by those names. Raises OSError.
    """
    mark = Path(settings.STATIC_ROOT) / _MARK
    wanted = _made_of()
    if mark.is_file() and mark.read_text() == wanted:
        return False
    call_command("collectstatic", interactive=False, verbosity=0)
    mark.write_text(wanted)
    return True
