"""No module that speaks to people puts a sentence together past the catalogues."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mailspool.catalogues import _APPS, ROOT

_MESSAGES = re.compile(r"_|_lazy|_noop|n?p?gettext\w*|(?:counted_)?fact")
# Whose texts are for programs and for whoever runs them: the log, SQL, errors of developers, the record of what was
# done (which `base.audit.sentences` says again) and the pages of errors, whose texts are kept by `error_pages`.
_FOR_PROGRAMS = re.compile(
    r"debug|info|warning|error|exception|critical|execute|log|compile|CommandError|RuntimeError|ImproperlyConfigured"
    r"|ValueError|TypeError|AssertionError|record|note|Http404|PermissionDenied|NotSignedIn|Input"
)
_NOT_FOR_PEOPLE = re.compile(r"/(?:migrations|management|shell|backup)/|/(?:shell|catalogues)\.py$")
_WORD = re.compile(r"(?:^|[\s(])[A-Za-z]{2,}(?=[\s,.:;)]|$)")
# Files, protocols, units, and names; what is stored in English, and said again by stored_texts; mail to administrators.
_KNOWN = re.compile(
    r"attachment; filename=.*|From \x01.*\n|  +\S+: \x01|- type: \x01|openid \x01|.*(?:REGEXP|NOT \().*|TLS: \x01"
    r"|\x01 (?:[KMG]B|min)|\x01 h \x01 min|Mailspool <\x01>|Dovecot at .*|\x01 \((?:shell|digest)\)|\x01? as \x01"
    r"|(?:change|connection|passkey) \x01|\x01 from \x01|\x01 drop"
    r"|(?:Removed by|Moved to|Redirected to|Put on hold by) .*|\x01 points|\x01 is contained .*|Incident.*"
    r"|By \x01, when mail was resent|.*false alarm.*|.*(?:was stopped by|: stopped).*"
    r"|failed job\x01 \x01|all failed jobs of \x01|\x01, in the trash|\x01 of the messages that were deleted first"
    r"|what action \x01 \(\x01\) took: \x01| and \x01 more|; try again after \x01"
    r"|what the guard did to \x01|the limit of \x01|\x01 is no file",
    re.DOTALL,
)


def test_no_sentence_is_put_together_of_english() -> None:
    left = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in _sources()
        for line, text in _put_together(path)
        if not _KNOWN.fullmatch(text)
    ]
    assert left == []


def _sources() -> Iterator[Path]:
    for app in _APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if not _NOT_FOR_PEOPLE.search(str(path)) and "gettext" in path.read_text():
                yield path


def _put_together(path: Path) -> Iterator[tuple[int, str]]:
    """The texts with values in them that have a word of their own, with "\\x01" in the place of each value."""
    yield from _below(ast.parse(path.read_text()))


def _below(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Call) and _is_taken_care_of(node.func):
        return
    if isinstance(node, ast.FunctionDef) and node.name in ("__str__", "__repr__"):
        return
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "\x01" for part in node.values]
        text = "".join(map(str, parts))
        if _WORD.search(text) and re.search(r"\s", text):
            yield node.lineno, text
        return
    for child in ast.iter_child_nodes(node):
        yield from _below(child)


def _is_taken_care_of(function: ast.expr) -> bool:
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    return (_MESSAGES.fullmatch(name) or _FOR_PROGRAMS.fullmatch(name)) is not None
