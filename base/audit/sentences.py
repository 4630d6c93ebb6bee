"""What came of an action, in words: made from its code and parameters when somebody looks.

Each app has a module `sentences` for its own actions and parameters, which is imported when the first sentence is asked
for. Most actions need nothing there: what was new, was changed or was removed is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base import facts, row_changes
from base.audit.results import Result
from base.audit.subjects import kind_of
from base.languages import in_source
from base.numbers import grouped
from base.texts import Text

MOST_NAMED = 20


class Event(Protocol):
    """What a sentence is made of: a row of the table (models.AuditEvent)."""

    action: Any
    kind: Any
    on: Any
    filter: Any
    parameters: Any
    done: Any
    skipped: Any
    result: Any


_ACTIONS: dict[str, Callable[[Event], str]] = {}
_PARAMETERS: dict[str, Callable[[Any], str]] = {}
_TITLES: dict[str, Text] = {}
_FILTERS: dict[str, Callable[[Mapping[str, Any]], str]] = {}
_LABELS: dict[str, Text] = {}
_ORDERS: dict[type[Model], Sequence[str]] = {}
_KINDS: dict[str, Text] = {"message": _lazy("message")}
_OF_ROWS: Mapping[str, Text] = {
    "add": _lazy("Add %(kind)s"),
    "change": _lazy("Change %(kind)s"),
    "remove": _lazy("Remove %(kind)s"),
}


def of_actions(sentences: Mapping[str, Callable[[Event], str]]) -> None:
    """Sentences of whole events, by the codes of their actions."""
    _ACTIONS.update(sentences)


def of_kinds(kinds: Mapping[str, Text]) -> None:
    """What something is done to, to choose from, and what each is called; empty for the name of its table."""
    _KINDS.update(kinds)


def of_titles(titles: Mapping[str, Text]) -> None:
    """What actions are called, by their codes: those that are not the adding, changing or removing of a kind of row."""
    _TITLES.update(titles)


def of_filters(filters: Mapping[str, Callable[[Mapping[str, Any]], str]]) -> None:
    """What the filters of actions on many mean, in words, by the codes of the actions."""
    _FILTERS.update(filters)


def of_parameters(phrases: Mapping[str, Callable[[Any], str]]) -> None:
    """Phrases for single parameters, by their names: of the actions that have no sentence they are put together."""
    _PARAMETERS.update(phrases)


def of_fields(labels: Mapping[str, Text]) -> None:
    """What fields are called beside others that were changed, where it is not their verbose name."""
    _LABELS.update(labels)


def in_order(fields: Mapping[type[Model], Sequence[str]]) -> None:
    """In which order a model's fields are told of, where it is not that of the model."""
    _ORDERS.update(fields)


def of(event: Event) -> str:
    """What came of it. Never raises: of what another version wrote down, it says what it understands."""
    _discover()
    if event.result == Result.BEGUN:
        return str(Result.BEGUN.label)
    sentence = _ACTIONS.get(event.action)
    for attempt in (sentence, put_together):
        try:
            if attempt is not None and (text := attempt(event)):
                return text
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            continue
    return str(Result(event.result).label) if event.result in Result.values else ""


def title(code: str) -> str:
    """What an action is called: "Change user". A code that this version does not know stays one."""
    _discover()
    if code in _TITLES:
        return str(_TITLES[code])
    verb, _blank, kind = code.partition(" ")
    if kind and verb in _OF_ROWS:
        return str(_OF_ROWS[verb]) % {"kind": kind_in_words(kind)}
    return code


def on(event: Event) -> str:
    """What it was done to: the names, or what the filter means. A filter of another version is as it was said then."""
    _discover()
    say = _FILTERS.get(event.action)
    try:
        # Names have no filter beside them, and everything is an empty one.
        if say is not None and (event.filter or event.on == in_source(lambda: say({}))):
            return say(event.filter)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    return str(event.on)


def put_together(event: Event) -> str:
    """ "Added as User; 2 members added: …": what the parameters say, one after the other."""
    given = event.parameters
    said = [of_values(event.kind, given["changed"]) if "changed" in given and "new" not in given else ""]
    said += [phrase(given[name]) for name, phrase in _PARAMETERS.items() if name in given]
    text = "; ".join(filter(None, said))
    # An address keeps its letters.
    return text if "@" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def of_values(kind: str, values: Mapping[str, Any]) -> str:
    """ "Messages per hour: 100 → 500": values of a kind of row before and after, by the names of its fields."""
    model = _models().get(kind)
    try:
        if model is not None:
            return row_changes.in_words(model, ordered(kind, values), _LABELS)
    except FieldDoesNotExist:
        pass
    return "; ".join(f"{name.replace('_', ' ')}: {before} → {after}" for name, (before, after) in values.items())


def ordered(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names of fields, in the order in which they are told of: PostgreSQL keeps none in JSON."""
    model = _models().get(kind)
    names = [*_ORDERS.get(model, ()), *row_changes.fields_of(model)] if model is not None else []
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    return dict(sorted(values.items(), key=lambda one: (places.get(one[0], len(names)), one[0])))


def field(kind: str, name: str) -> str:
    """What a field of a kind of row is called."""
    model: Any = _models().get(kind)
    try:
        return str(_LABELS.get(name) or model._meta.get_field(name).verbose_name)
    except (FieldDoesNotExist, AttributeError):
        return name


def value(kind: str, name: str, of: Any) -> str:
    """A value of a field of a kind of row."""
    model: Any = _models().get(kind)
    try:
        return row_changes.in_a_word(model._meta.get_field(name), of)
    except (FieldDoesNotExist, AttributeError):
        return str(of)


def kind_in_words(kind: str) -> str:
    """What a kind of row, or of thing, is called."""
    _discover()
    model = _models().get(kind)
    return str(_KINDS.get(kind) or (model._meta.verbose_name if model is not None else kind))


def known_actions() -> list[str]:
    """The codes of actions that have a name, in order: to choose from."""
    _discover()
    return sorted({*_ACTIONS, *_TITLES})


def known_kinds() -> list[str]:
    """The kinds of rows, messages and other things that something is done to."""
    _discover()
    return sorted(_KINDS)


def few(names: Iterable[object], most: int = MOST_NAMED) -> dict[str, Any]:
    """Many names as a parameter: how many, and the first of them."""
    names = list(map(str, names))
    return {"count": len(names), "first": names[:most]}


def few_in_words(parameter: Mapping[str, Any]) -> str:
    """ "ann, bob and 1,998 more" of such a parameter."""
    rest = parameter["count"] - len(parameter["first"])
    return ", ".join(parameter["first"]) + (
        " " + _("and %(number)s more") % {"number": grouped(rest)} if rest > 0 else ""
    )


of_parameters(
    {
        "new": lambda given: _("Added"),
        "removed": lambda given: _("Removed"),
        "facts": lambda given: " ".join(facts.shown(given)),
    }
)


@cache
def _discover() -> None:
    autodiscover_modules("sentences")


@cache
def _models() -> dict[str, type[Model]]:
    """The models whose rows stand in the audit, by their kinds."""
    return {kind_of(model): model for model in apps.get_models()}
