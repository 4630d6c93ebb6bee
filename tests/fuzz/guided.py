"""Fuzz one target, led by the code that its inputs reach: `python -m tests.fuzz.guided TARGET -max_total_time=600`.

Needs atheris (`pip install atheris`), which is no requirement: there are wheels of it for few systems. Further
arguments are libFuzzer's. New inputs go into a folder of their own, whose name is told, and the one that failed beside
it; what is worth it is kept by hand. For targets that need no database.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path


def main(arguments: list[str]) -> None:
    import atheris

    work = Path(tempfile.mkdtemp(prefix="mailspool-fuzz-"))
    os.environ.update(MAILSPOOL_HOME=str(work / "home"), MAILSPOOL_HOSTNAME="mail.test", TZ="UTC")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
    with atheris.instrument_imports(
        include=["accounts", "base", "mailspool", "quarantine", "spool", "security", "dkim", "spf"]
    ):
        import django

        django.setup()
        from tests.fuzz.all import TARGETS
    found = [target for target in TARGETS if target.name == (arguments[0] if arguments else "")]
    if not found:
        sys.exit(f"Name a target: {', '.join(target.name for target in TARGETS)}.")
    [target] = found
    words = work / "words"
    # libFuzzer's form of a dictionary.
    escaped = ("".join(f"\\x{octet:02x}" for octet in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    corpus = work / "found"
    corpus.mkdir()
    kept = {path.parent for path in target.kept}
    print(f"New inputs are in {corpus}.", file=sys.stderr)
    with contextlib.chdir(work):
        atheris.Setup(
            [
                "fuzz",
                str(corpus),
                *map(str, kept),
                f"-dict={words}",
                f"-max_len={target.longest}",
                f"-artifact_prefix={work}/",
                *arguments[1:],
            ],
            target.run,
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
