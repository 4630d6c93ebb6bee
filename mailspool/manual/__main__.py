"""`python -m mailspool.manual FOLDER` writes all of it into a folder."""

import sys
from pathlib import Path

import django

from mailspool import start

if __name__ == "__main__":
    start.begin()
    django.setup()
    from mailspool.manual import completion, man, page

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "commands.md").write_text(page.page())
    (folder / "mailspool.8").write_text(man.page())
    (folder / "mailspool.bash").write_text(completion.script("bash"))
    (folder / "_mailspool").write_text(completion.script("zsh"))
