"""What pages and alerts read of the traffic counts: totals of keys, their last hours, and the series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from spool.models.traffic import COUNTED
from spool.rows import statements

# (kind, key, messages of the last day, all messages).
Total = tuple[int, str, int, int]


class Hour(NamedTuple):
    """What a key had in an hour (hours since 1970), and of that since the two moments that were asked for."""

    kind: int
    key: str
    hour: int
    since_first: int
    since_second: int
    number: int


class Stretch(NamedTuple):
    """What the series says of some minutes: their number among stretches of equal length, and each sum of COUNTED."""

    place: int
    sums: Mapping[str, int]


class Ranked(NamedTuple):
    """The keys of a kind that are asked for: those with most in the last day, `since` a minute, or of all time."""

    kind: int
    since: int | None = None
    by_total: bool = False


_BY_DAY: Final = (
    "SELECT * FROM (SELECT kind, key, day, total FROM spool_traffictotal WHERE kind = %s AND day > 0"
    " ORDER BY day DESC, key LIMIT %s) AS t"
)
_BY_TOTAL: Final = (
    "SELECT * FROM (SELECT kind, key, day, total FROM spool_traffictotal WHERE kind = %s"
    " ORDER BY total DESC, key LIMIT %s) AS t"
)
_SINCE: Final = (
    "SELECT t.kind, t.key, t.day, t.total FROM (SELECT kind, key, SUM(number) AS number FROM spool_trafficcount"
    " WHERE span = 1 AND kind = %s AND minute >= %s GROUP BY kind, key ORDER BY number DESC, key LIMIT %s) AS c"
    " JOIN spool_traffictotal t ON t.kind = c.kind AND t.key = c.key"
)


def largest(wanted: Sequence[Ranked], most: int) -> list[Total]:
    """The first `most` keys of each; one that is asked for twice may come twice."""
    parts: list[str] = []
    parameters: list[int] = []
    for kind, since, by_total in wanted:
        if since is None:
            parts.append(_BY_TOTAL if by_total else _BY_DAY)
            parameters += [kind, most]
        else:
            parts.append(_SINCE)
            parameters += [kind, since, most]
    return list(statements.execute(" UNION ALL ".join(parts), parameters).fetchall())


def totals(kinds: Sequence[int], keys: Sequence[str]) -> list[Total]:
    """Those of these keys of these kinds that were ever seen."""
    kind_clause, kind_values = _any_of(kinds)
    key_clause, key_values = _any_of(keys)
    statement = f"SELECT kind, key, day, total FROM spool_traffictotal WHERE kind {kind_clause} AND key {key_clause}"
    return list(statements.execute(statement, [*kind_values, *key_values]).fetchall())


def hours(keys: Mapping[int, Sequence[str]], first: int, second: int) -> list[Hour]:
    """The last hours of keys, by kind, with what came in the minute `first` or later, and in `second` or later."""
    parts: list[str] = []
    parameters: list[Any] = []
    for kind, some in keys.items():
        if some:
            clause, values = _any_of(some)
            parts.append(
                "SELECT kind, key, minute / 60, SUM(CASE WHEN minute >= %s THEN number ELSE 0 END),"
                " SUM(CASE WHEN minute >= %s THEN number ELSE 0 END), SUM(number) FROM spool_trafficcount"
                f" WHERE kind = %s AND key {clause} GROUP BY kind, key, minute / 60"
            )
            parameters += [first, second, kind, *values]
    return [Hour(*row) for row in statements.execute(" UNION ALL ".join(parts), parameters).fetchall()] if parts else []


def minutes(keys: Mapping[int, Sequence[str]], first: int) -> list[tuple[int, str, int, int]]:
    """(kind, key, minute, how many) of keys, by kind, from the minute `first` on, while minutes are kept."""
    parts: list[str] = []
    parameters: list[Any] = []
    for kind, some in keys.items():
        if some:
            clause, values = _any_of(some)
            parts.append(
                "SELECT kind, key, minute, number FROM spool_trafficcount"
                f" WHERE kind = %s AND key {clause} AND minute >= %s AND span = 1"
            )
            parameters += [kind, *values, first]
    return list(statements.execute(" UNION ALL ".join(parts), parameters).fetchall()) if parts else []


def sums(keys: Mapping[int, Sequence[str]], first: int, step: int) -> list[tuple[int, int, int]]:
    """(kind, which stretch of `step` minutes from the minute `first` on, how many) of keys together, by kind.

    What has become an hour counts in the stretch that the hour begins in.
    """
    parts: list[str] = []
    parameters: list[Any] = []
    for kind, some in keys.items():
        if some:
            clause, values = _any_of(some)
            parts.append(
                f"SELECT kind, (minute - {first:d}) / {step:d} AS place, SUM(number) FROM spool_trafficcount"
                f" WHERE kind = %s AND key {clause} AND minute >= %s GROUP BY kind, place"
            )
            parameters += [kind, *values, first]
    return list(statements.execute(" UNION ALL ".join(parts), parameters).fetchall()) if parts else []


def by_site(kinds: Sequence[int], since: int) -> list[tuple[str, str, int, int]]:
    """(site, source, kind, how many) since the minute `since`, of all domains whose site is known."""
    clause, values = _any_of(kinds)
    rows = statements.execute(
        "SELECT d.site, d.source, c.kind, SUM(c.number) FROM spool_trafficcount c JOIN spool_destinationdomain d"
        f" ON d.domain = c.key WHERE c.span = 1 AND c.minute >= %s AND c.kind {clause}"
        " GROUP BY d.site, d.source, c.kind",
        [since, *values],
    )
    return list(rows.fetchall())


def fastest(kind: int, since: int, least: int, most: int) -> list[tuple[str, int]]:
    """The keys of a kind that had `least` or more since the minute `since`, each with how many; the fastest first."""
    rows = statements.execute(
        "SELECT key, SUM(number) FROM spool_trafficcount WHERE span = 1 AND minute >= %s AND kind = %s"
        " GROUP BY key HAVING SUM(number) >= %s ORDER BY SUM(number) DESC LIMIT %s",
        (since, kind, least, most),
    )
    return list(rows.fetchall())


def shares(part: int, whole: int, since: int, least: int, most: int) -> list[tuple[str, int, int]]:
    """Keys that had `least` or more of the kind `part` since the minute `since`: (key, of `part`, of `whole`), the most
    first.
    """
    of_kind = "SUM(CASE WHEN kind = %s THEN number ELSE 0 END)"
    rows = statements.execute(
        f"SELECT key, {of_kind} AS part, {of_kind} FROM spool_trafficcount WHERE span = 1 AND minute >= %s"
        f" AND kind IN (%s, %s) GROUP BY key HAVING {of_kind} >= %s ORDER BY part DESC LIMIT %s",
        (part, whole, since, part, whole, part, least, most),
    )
    return list(rows.fetchall())


_SUMS: Final = ", ".join(f"SUM({name})" for name in COUNTED)


def stretches(first: int, step: int) -> list[Stretch]:
    """The series from the minute `first` on, in stretches of `step` minutes."""
    rows = statements.execute(
        f"SELECT (minute - {first:d}) / {step:d} AS place, {_SUMS} FROM spool_trafficseries WHERE minute >= %s"
        " GROUP BY 1",
        (first,),
    ).fetchall()
    return [Stretch(place, dict(zip(COUNTED, sums, strict=True))) for place, *sums in rows]


def last_looks(first: int, step: int) -> list[int]:
    """The last minute of each stretch in which somebody looked at the depth of the spool."""
    rows = statements.execute(
        f"SELECT MAX(minute) FROM spool_trafficseries WHERE minute >= %s AND depth <> '{{}}'"
        f" GROUP BY (minute - {first:d}) / {step:d}",
        (first,),
    ).fetchall()
    return [row[0] for row in rows]


def _any_of(values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The right side of `column …` for some values, and its parameters."""
    if statements.on_sqlite():
        return f"IN ({', '.join('%s' for _ in values)})", values
    return "= ANY(%s)", [list(values)]
