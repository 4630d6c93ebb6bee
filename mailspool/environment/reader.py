"""Reads the environment: every variable that is declared, and every fault at once."""

from __future__ import annotations

import difflib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from base.buckets import LEAST_KB
from mailspool.environment.kinds import Wrong
from mailspool.environment.variables import (
    DATABASE,
    PREFIX,
    S3,
    S3_KB,
    S3_KEY,
    S3_REGION,
    S3_SECRET,
    STORE,
    VARIABLES,
    Variable,
)

T = TypeVar("T")
# Of the project's own tests and benchmarks.
_OF_TESTS = (
    "MAILSPOOL_LONG",
    "MAILSPOOL_CRASH_SEED",
    "MAILSPOOL_CRASH_MESSAGES",
    "MAILSPOOL_CRASH_INLINE_KB",
    "MAILSPOOL_BENCH_LISTS",
)
# What Kubernetes gives every pod in a namespace that has a service named mailspool or mailspool-…
_OF_KUBERNETES = re.compile(
    r"MAILSPOOL_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LONGEST_SHOWN = 80


class WrongEnvironment(Exception):
    """The environment can't be used: a sentence for each fault."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = tuple(sentences)


class Environment:
    """The values of all variables, by their declarations."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, variable: Variable[T]) -> T:
        return cast(T, self._values.get(variable.name, variable.default))


def read(environ: Mapping[str, str]) -> Environment:
    """All variables in `environ`. Raises WrongEnvironment with all that is wrong, misspelt names too."""
    values: dict[str, Any] = {}
    sentences: list[str] = []
    for variable in VARIABLES:
        given = environ.get(variable.name, "").strip()
        if not given:
            continue
        try:
            values[variable.name] = variable.kind(given)
        except Wrong as wrong:
            sentences.append(f"{variable.name}={_shown(variable, given)}: {wrong}.")
    engine = str(values.get(DATABASE.name, {}).get("ENGINE", ""))
    if values.get(STORE.name) == "database" and "postgresql" not in engine:
        sentences.append(
            f"{STORE.name}=database: that is for PostgreSQL, and this is SQLite, which only one machine can use: leave"
            f" it at files, or name a PostgreSQL in {DATABASE.name}."
        )
    sentences += _wrong_bucket(values, is_postgresql="postgresql" in engine)
    sentences += [_unknown(name) for name in sorted(environ) if _is_unknown(name, environ[name])]
    if sentences:
        raise WrongEnvironment(sentences)
    return Environment(values)


def _wrong_bucket(values: Mapping[str, Any], *, is_postgresql: bool) -> list[str]:
    """What is wrong with the variables of the bucket, taken together."""
    named = [one.name for one in (S3_KB, S3_REGION, S3_KEY, S3_SECRET) if one.name in values]
    if S3.name not in values:
        return [f"{named[0]}: it says something of a bucket, and {S3.name} names none."] if named else []
    wrong = []
    if not is_postgresql:
        wrong.append(f"{S3.name}: a bucket is for what is kept in PostgreSQL, and this is SQLite: leave it out.")
    if (S3_KEY.name in values) != (S3_SECRET.name in values):
        wrong.append(f"{S3_KEY.name} and {S3_SECRET.name} go together: give both, or neither.")
    if 0 < values.get(S3_KB.name, S3_KB.default) < LEAST_KB:
        wrong.append(f"{S3_KB.name}={values[S3_KB.name]}: it is 0, or {LEAST_KB} and more.")
    if importlib.util.find_spec("obstore") is None:
        wrong.append(f"{S3.name}: that needs a package which is not installed: pip install -r requirements-s3.txt.")
    return wrong


def _is_unknown(name: str, value: str) -> bool:
    if not name.startswith(PREFIX) or name in _OF_TESTS or any(name == variable.name for variable in VARIABLES):
        return False
    return not (_OF_KUBERNETES.fullmatch(name) or (name.endswith("_PORT") and value.startswith(("tcp://", "udp://"))))


def _unknown(name: str) -> str:
    names = [variable.name.removeprefix(PREFIX) for variable in VARIABLES if variable.name.startswith(PREFIX)]
    close = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1)
    hint = f"did you mean {PREFIX}{close[0]}?" if close else "docs/configuration.md lists those that there are."
    return f"{name}: there is no such variable; {hint}"


def _shown(variable: Variable[Any], value: str) -> str:
    """The value on one line, as far as others may see it."""
    if variable.secret:
        # Of a URL the scheme, of which a password is no part wherever the rest was cut wrongly.
        scheme, there, _ = value.partition("://")
        return f"{scheme}://…" if there and scheme.isalpha() else "…"
    shown = value if value.isprintable() else repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
