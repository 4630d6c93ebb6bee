"""systemd's units, read as systemd reads them: systemd.syntax(7), and drop-ins as in systemd.unit(5)."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DEPLOY = PROJECT / "deploy"
UNITS = DEPLOY / "systemd"


@dataclass(frozen=True)
class Unit:
    """One unit with its drop-ins; `name` has its instance, as mailspool-worker@1.service."""

    name: str
    settings: dict[tuple[str, str], list[str]]

    def all(self, section: str, key: str) -> list[str]:
        """Every value of a setting that may be given more than once, specifiers filled in."""
        return [self._filled(value) for value in self.settings.get((section, key), ())]

    def get(self, section: str, key: str, default: str = "") -> str:
        """The last value of a setting."""
        return (self.all(section, key) or [default])[-1]

    def words(self, section: str, key: str) -> list[str]:
        """The words of a setting that is a list; an empty value forgets those before it."""
        words: list[str] = []
        for value in self.all(section, key):
            words = [*words, *value.split()] if value else []
        return words

    @property
    def instance(self) -> str:
        found = re.search(r"@(.*)\.[a-z]+$", self.name)
        return found[1] if found else ""

    @property
    def command(self) -> list[str]:
        """The words of ExecStart."""
        (line,) = self.all("Service", "ExecStart")
        return shlex.split(line)

    def _filled(self, value: str) -> str:
        return value.replace("%i", self.instance).replace("%n", self.name).replace("%%", "%")


def load(name: str, folder: Path = UNITS) -> Unit:
    """The unit of that name, with its instance, from the files in `folder`."""
    file = re.sub(r"@[^.]*\.", "@.", name)
    settings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in [folder / file, *_drop_ins(file, folder)]:
        for section, key, value in _lines(path.read_text()):
            settings[section, key].append(value)
    return Unit(name, dict(settings))


def services(folder: Path = UNITS) -> list[str]:
    """All services, an instance of each template."""
    return sorted(path.name.replace("@.", "@1.") for path in folder.glob("mailspool*.service"))


def _drop_ins(file: str, folder: Path) -> list[Path]:
    """Those of the name and of each beginning of it that ends with a dash."""
    stem, _, kind = file.rpartition(".")
    stems = [stem, *(stem[: place.end()] for place in re.finditer("-", stem))]
    return sorted((path for s in stems for path in (folder / f"{s}.{kind}.d").glob("*.conf")), key=lambda p: p.name)


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """(section, key, value) of each setting."""
    section = ""
    # A backslash at the end of a line joins it to the next.
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            section = line.strip("[]")
            continue
        key, separator, value = line.partition("=")
        assert separator, f"no setting: {line}"
        yield section, key.strip(), value.strip()


def environment_of(path: Path) -> dict[str, str]:
    """An EnvironmentFile: systemd.exec(5). Quotes are taken off, nothing is substituted."""
    values = {}
    for line in path.read_text().replace("\\\n", "").splitlines():
        line = line.strip()
        if line and line[0] not in "#;":
            name, separator, value = line.partition("=")
            assert separator, f"no variable: {line}"
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            values[name.strip()] = value
    return values
