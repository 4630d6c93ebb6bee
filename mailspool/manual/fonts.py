"""The console's fonts, cut to what its pages show: `make fonts` writes them, after a change of Unfold or of icons.

Unfold brings four weights of Inter (450 KB) and all 4,137 Material Symbols (290 KB). Of Inter two weights are kept,
with Latin letters; of the symbols those whose names stand in our files or Unfold's. Both licences
allow it (SIL Open Font License 1.1 without reserved names; Apache License 2.0).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import unfold
from django.conf import settings

UNFOLD = Path(unfold.__file__).parent
_SOURCES = UNFOLD / "static" / "unfold" / "fonts"
ICONS = "Material-Symbols.woff2"
SYMBOLS = _SOURCES / "material-symbols" / "Material-Symbols-Outlined.woff2"
_INTER = {400: "Inter-Regular.woff2", 600: "Inter-SemiBold.woff2"}
# Basic Latin to Latin Extended-A, punctuation, currencies, arrows and what else our texts have. Other scripts, which
# mail brings along, are shown in the fonts of the reader's machine.
_LETTERS = [
    *range(0x20, 0x180),
    *range(0x2010, 0x2040),
    *range(0x20A0, 0x20C0),
    *range(0x2190, 0x219A),
    *(0x2122, 0x2212, 0x2248, 0x2260, 0x2264, 0x2265),
]
# A name of an icon stands alone: between tags, or in quotes.
_NAME = re.compile(r"""(?<=[>"'`\s])[a-z0-9_]{2,40}(?=[<"'`\s])""")


def folder() -> Path:
    """Where the cut fonts are kept, beside the style sheets that name them."""
    return Path(settings.BASE_DIR) / "mailspool" / "static" / "mailspool" / "fonts"


def _texts() -> Iterator[str]:
    own = Path(settings.BASE_DIR)
    rooms = ("base", "accounts", "spool", "security", "throttling", "quarantine", "mailspool")
    for root in (*(own / room for room in rooms), UNFOLD):
        for path in root.rglob("*"):
            if path.suffix in {".html", ".py", ".js", ".css"} and path.is_file():
                yield path.read_text(encoding="utf-8", errors="replace")


def ligatures(font: Any) -> dict[str, str]:
    """The icons of a font of symbols: glyph by name."""
    return {name: one.LigGlyph for _, _, rest in _named(font) for name, one in rest}


def used(names: Iterable[str]) -> set[str]:
    """Those of the icons' names that stand in a file of ours or of Unfold, as icons or as other words."""
    wanted = set(names)
    return {name for text in _texts() for name in _NAME.findall(text) if name in wanted}


def write() -> None:
    """Write the cut fonts. Needs fonttools and brotli, which only developers have."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options(flavor="woff2", layout_features=["kern", "liga", "calt", "tnum"], hinting=False)
    for source in _INTER.values():
        _cut(
            subset.Subsetter(options),
            TTFont(_SOURCES / "inter" / source, recalcTimestamp=False),
            folder() / source,
            unicodes=_LETTERS,
        )
    symbols = TTFont(SYMBOLS, recalcTimestamp=False)
    icons = used(ligatures(symbols))
    _keep(symbols, icons)
    cut = subset.Subsetter(subset.Options(flavor="woff2", layout_features=["liga", "rlig"], hinting=False))
    _cut(cut, symbols, folder() / ICONS, text="".join(sorted(icons)))


def _keep(font: Any, icons: Container[str]) -> None:
    """Take out the ligatures of all other icons: a subset of letters keeps whatever they spell."""
    for subtable, first, rest in list(_named(font)):
        subtable.ligatures[first] = [one for name, one in rest if name in icons]


def _named(font: Any) -> Iterator[tuple[Any, str, list[tuple[str, Any]]]]:
    """The ligatures of a font with what they spell, by table and first glyph."""
    letters = {glyph: chr(code) for code, glyph in font.getBestCmap().items()}
    for lookup in font["GSUB"].table.LookupList.Lookup:
        for subtable in lookup.SubTable:
            for first, rest in getattr(subtable, "ligatures", {}).items():
                spelt = ["".join(letters.get(glyph, "?") for glyph in (first, *one.Component)) for one in rest]
                yield subtable, first, list(zip(spelt, rest, strict=True))


def _cut(cutter: Any, font: Any, to: Path, **what: Any) -> None:
    cutter.populate(**what)
    cutter.subset(font)
    font.flavor = "woff2"
    to.parent.mkdir(parents=True, exist_ok=True)
    font.save(to)
    print(f"{to.name}: {to.stat().st_size:,} bytes", file=sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
    write()
