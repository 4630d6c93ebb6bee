"""Each catalogue is whole: nothing is missing, nothing is left over, and what programs read is what the source says."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from base.languages import OFFERED, SOURCE
from mailspool import catalogues
from mailspool.person_language import IN_CONSOLE

ALL = list(catalogues.catalogues())


@pytest.mark.parametrize("path", list(filter(catalogues.is_offered, ALL)), ids=lambda path: "-".join(path.parts[-4:-2]))
def test_a_catalogue_is_whole(path: Path) -> None:
    assert catalogues.problems(path) == []


# One word for one thing: German has several for some.
_OTHER_WORDS = {"E-Mail": "Mail", "Unzustellbarkeits": "Rückläufer", "Rechner": "Maschine", "Kennwort": "Passwort"}


@pytest.mark.parametrize("part", catalogues.PARTS)
def test_german_has_one_word_for_one_thing(part: str) -> None:
    with (catalogues.LOCALE / part / "de" / "LC_MESSAGES" / "django.po").open("rb") as file:
        german = " ".join(f"{message.string}" for message in read_po(file, locale="de"))
    assert {other: word for other, word in _OTHER_WORDS.items() if other in german} == {}


def test_each_offered_language_has_a_catalogue_and_the_reverse() -> None:
    offered = {code for code, _ in OFFERED} - {SOURCE}
    assert {path.parts[-3] for path in ALL if path.parts[-4] == "people"} == offered


def test_the_console_is_offered_in_those_whose_catalogue_of_it_is_compiled() -> None:
    compiled = {path.parts[-3] for path in ALL if path.parts[-4] == "console" and catalogues.is_offered(path)}
    assert compiled == IN_CONSOLE - {SOURCE} and "de" in compiled


def test_a_language_of_the_console_that_was_never_whole_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogues, "LOCALE", tmp_path)
    catalogues.add("console", "it")
    left = catalogues.update()
    [path] = catalogues.catalogues()
    assert len(left) > 1000 and "not translated" in left[0] and not catalogues.is_offered(path)


def test_making_the_catalogues_again_changes_nothing() -> None:
    for path in ALL:
        again = catalogues.merged(path, catalogues.collected(path.parts[-4]))
        assert catalogues.source_of(again) == path.read_bytes()


def test_what_is_wrong_with_a_catalogue_is_told(tmp_path: Path) -> None:
    [german] = [path for path in ALL if path.parts[-4:-2] == ("people", "de")]
    path = tmp_path / "people" / "de" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    path.with_suffix(".mo").write_bytes(german.with_suffix(".mo").read_bytes())
    text = german.read_text()
    for right, wrong in (
        ('msgstr "Es gibt keinen Benutzer %(address)s."', 'msgstr "Es gibt keinen Benutzer %(adresse)s."'),
        ('msgstr "Deaktivieren"', 'msgstr ""'),
        ('msgid "Log out"', 'msgid "Leave"'),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    path.write_text(text)
    told = "\n".join(catalogues.problems(path))
    assert "another placeholder: 'There is no user" in told
    assert "not translated: 'Disable'" in told
    assert "not translated: 'Log out'" in told and "no longer in the sources: 'Leave'" in told
    assert "django.mo is not what django.po says" in told
