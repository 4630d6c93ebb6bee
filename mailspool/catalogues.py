"""The catalogues of messages: `make messages` collects what the sources say, merges it into them, and compiles them.

There are two parts. `people` is what users of mail read: the user site, the login, mail, and what those share with the
console. `console` is what stands in the console alone. People's is whole in each language that is offered. The
console's may be under way: while a language has never been whole there, nothing is compiled of it, and the console is
not offered in it.

Sources (`.po`) and what programs read (`.mo`) are both kept in git: a clone, a package and a copied folder work as they
are, with no step that somebody may forget and nothing to install for it. A test holds both to each other.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).resolve().parent.parent
LOCALE: Final = ROOT / "mailspool" / "locale"
PARTS: Final = ("people", "console")
_APPS: Final = ("accounts", "base", "mailspool", "quarantine", "security", "spool", "throttling")
# What people read too; all else stands in the console alone.
_PEOPLE: Final = re.compile(
    r"base/(?!dns_updates|name_servers)|accounts/(actions|actor|addresses|changes|connections|fields|forms|placing|propagation|securing|sentences|sign_in"
    r"|single_sign_on)\b|accounts/models/(aliases|limits|lists|sign_in|spam|status|users)\b"
    r"|mailspool/(ended_session|error_pages|mail_reports/shown|portal|proof_gate|stored_texts|templatetags)\b"
    r"|mailspool/templates/(portal|mailspool/(mail_reports/_domain|menus/_fields|session|unsubscribe))\b"
    r"|quarantine/(actions/(by_owner|listed|release)|console/listed_views|digest|models/(item|listed)|release_requests"
    r"|sentences|stored_texts|templates/quarantine/(_senders|digest|release))\b"
    r"|security/templates/security/locked_out\b"
    r"|spool/(actions/(recalls|suppression)|console/why|dsn|filters|models/(entry|recipient)|stored_texts"
    r"|templates/spool/console/(_attempt|_times)|templatetags)\b"
    r"|throttling/(actions|guard|notices|stored_texts|templates/throttling/console/_use|usage|wording)\b"
)
_KEYWORDS: Final[dict[str, tuple[int | tuple[int, str], ...] | None]] = {
    **dict.fromkeys(("_", "_lazy", "_noop", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    "fact": (1,),
    "counted_fact": (1, 2),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
_PLACE: Final = re.compile(r"%\((\w+)\)[sd]|%%|\{(\w*)\}")


def catalogues() -> Iterator[Path]:
    """The sources of all that there are."""
    return iter(sorted(LOCALE.glob("*/*/LC_MESSAGES/django.po")))


def is_offered(path: Path) -> bool:
    """Whether programs read it: then it has to be whole, and stay so."""
    return path.with_suffix(".mo").exists()


def collected(part: str) -> Catalog:
    """What the sources say now, as a catalogue without translations."""
    found = Catalog(fuzzy=False)
    for path in sorted(_sources()):
        name = path.relative_to(ROOT).as_posix()
        if (part == "people") is bool(_PEOPLE.match(name)):
            for id, context in _messages(path):
                found.add(id, locations=[(name, 0)], context=context)
    return found


def merged(path: Path, template: Catalog) -> Catalog:
    """A catalogue with what the template has: what is new is empty, and what is gone is gone."""
    catalogue = _read(path)
    catalogue.update(template, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    return catalogue


def source_of(catalogue: Catalog) -> bytes:
    """The text of a `.po` file: in the order of the files that the messages are in, without numbers of lines."""
    file = BytesIO()
    write_po(file, catalogue, width=110, sort_by_file=True, include_lineno=False)
    return file.getvalue()


def compiled(catalogue: Catalog) -> bytes:
    """What programs read."""
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def problems(path: Path) -> list[str]:
    """What keeps a catalogue from being whole, a sentence each."""
    part, language = path.parts[-4], path.parts[-3]
    said = _missing(path)
    if is_offered(path) and path.with_suffix(".mo").read_bytes() != compiled(_read(path)):
        said.append(f"{part}/{language}: django.mo is not what django.po says; run make messages")
    return said


def _missing(path: Path) -> list[str]:
    part, language = path.parts[-4], path.parts[-3]
    catalogue, template = _read(path), collected(part)
    said = [f"{part}/{language}: no longer in the sources: {_short(one)}" for one in catalogue.obsolete.values()]
    for message in template:
        if message.id:
            mine = catalogue.get(message.id, message.context)
            said += [f"{part}/{language}: {what}: {_short(message)}" for what in _wrong(mine, catalogue.num_plurals)]
    known = {(_first(one), one.context) for one in template}
    gone = [one for one in catalogue if (_first(one), one.context) not in known]
    said += [f"{part}/{language}: no longer in the sources: {_short(one)}" for one in gone]
    return said


def update() -> list[str]:
    """Merge and compile all of them; what is missing in them then."""
    templates = {part: collected(part) for part in PARTS}
    said = []
    for path in catalogues():
        catalogue = merged(path, templates[path.parts[-4]])
        path.write_bytes(source_of(catalogue))
        if is_offered(path) or not _missing(path):
            path.with_suffix(".mo").write_bytes(compiled(_read(path)))
        said += problems(path)
    return said


def add(part: str, language: str) -> None:
    """An empty catalogue, to be filled."""
    path = LOCALE / part / language / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    nobody = {"msgid_bugs_address": "", "last_translator": "", "language_team": ""}
    path.write_bytes(source_of(Catalog(language, project="Mailspool", version="", fuzzy=False, **nobody)))


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3])


def _sources() -> Iterator[Path]:
    for app in _APPS:
        for path in (ROOT / app).rglob("*"):
            parts = path.relative_to(ROOT).parts
            is_text = path.suffix == ".py" or ("templates" in parts and path.suffix in (".html", ".txt"))
            if is_text and "migrations" not in parts:
                yield path


def _messages(path: Path) -> Iterator[tuple[str | tuple[str, str], str | None]]:
    """The messages of a file, each with its context."""
    from django.utils.translation.template import templatize

    text = path.read_text()
    if path.suffix != ".py":
        # What is left of the markup would be taken for indentation.
        text = "\n".join(line.strip() for line in templatize(text, origin=str(path)).splitlines())
    for _line, function, found, _comments in extract_python(BytesIO(text.encode()), _KEYWORDS, [], {}):
        assert isinstance(function, str)
        texts: list[Any] = [found] if isinstance(found, str) else list(found or ())
        spec = _KEYWORDS[function]
        context = texts.pop(0) if spec and isinstance(spec[0], tuple) else None
        wanted = 2 if function.startswith(("ng", "np", "counted")) else 1
        if len(texts) >= wanted and all(isinstance(one, str) for one in texts[:wanted]) and texts[0]:
            yield (texts[0] if wanted == 1 else (texts[0], texts[1])), context


def _wrong(message: Message | None, plurals: int) -> Iterator[str]:
    ids = [] if message is None else [message.id] if isinstance(message.id, str) else list(message.id)
    text: Any = "" if message is None else message.string or ""
    texts = [text] if isinstance(text, str) else list(text)
    if message is None or not all(texts) or len(texts) != (plurals if len(ids) > 1 else 1):
        yield "not translated"
        return
    if message.fuzzy:
        yield "fuzzy"
    wanted = set(_PLACE.findall(ids[-1]))
    for number, text in enumerate(texts):
        # "The last day" needs no number.
        missing = set() if number == 0 and len(texts) > 1 else wanted - set(_PLACE.findall(text))
        if missing or set(_PLACE.findall(text)) - wanted:
            yield "another placeholder"
        # It may stand in an attribute, where a quotation mark would end it.
        if text.count("<") != ids[-1].count("<") or ('"' in text and '"' not in ids[-1]):
            yield "another tag or quotation mark"
        if text[:1].isspace() != ids[0][:1].isspace() or text[-1:].isspace() != ids[0][-1:].isspace():
            yield "another space at its end"


def _first(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _short(message: Message) -> str:
    return repr(_first(message)[:80])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["add", part, language]:
            add(part, language)
        case _:
            pass
    left = update()
    print("\n".join(left) or "All catalogues are whole.")
    sys.exit(bool(left))
