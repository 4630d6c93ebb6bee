"""Taking the rows of a file over: some hundred in one transaction, each with its fate.

A row that can't be taken over stops no other, and a run that was killed can be repeated: what is there already and says
the same is left alone. A dry run asks the same questions and writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import directory, history
from accounts.actor import Actor
from accounts.connections.registry import Dropped, end_quietly
from accounts.models import Status
from accounts.transfer.appliers import APPLIERS, Applier, Change, Ledger, settle_passwords
from accounts.transfer.columns import BadRow, Kind, Row, kind_of, understood
from accounts.transfer.files import Raw
from base.complaints import sentences

CHUNK = 500
FATES = ADDED, CHANGED, SAME, REFUSED = "added", "changed", "the same", "refused"
_ACTION = {"defaults": "change defaults", "member": "change list"}


@dataclass(slots=True)
class Fate:
    """What became of a row, or would: `name` as the file has it when it is no address. Holds no password."""

    line: int
    kind: str
    name: str
    fate: str
    why: str = ""


class Importer:
    """One import. `fates` counts, `dropped` is what ended with changed passwords and states."""

    def __init__(self, actor: Actor, *, update: bool = False, dry_run: bool = False) -> None:
        actor.require_administration()
        self.fates: Counter[str] = Counter()
        self.dropped: Dropped | None = None
        self._actor = actor
        self._update = update
        self._dry_run = dry_run
        self._ledger = Ledger()
        self._seen: dict[tuple[str, ...], int] = {}
        self._closed_users: set[str] = set()
        self._closed_domains: set[str] = set()

    def run(self, rows: Iterable[Raw], kind: str = "user", name: str = "a file") -> Iterator[Fate]:
        """The fate of each row, in their order. `kind` is that of rows that name none. Raises BadFile."""
        try:
            for chunk in _chunks(self._read(rows, kind)):
                for fate in self._done(chunk):
                    self.fates[fate.fate] += 1
                    yield fate
        finally:
            if not self._dry_run:
                self._finish(name)

    def _read(self, rows: Iterable[Raw], kind: str) -> Iterator[Row | Fate]:
        for raw in rows:
            said = str(raw.given.get("kind") or kind).strip().lower()
            name = str(raw.given.get("address") or "")
            try:
                if raw.problem:
                    raise BadRow(raw.problem)
                row = understood(raw.line, kind_of(raw.given.get("kind"), kind), raw.given)
                if before := self._seen.get(row.identity):
                    raise BadRow(f"line {before} is about the same already")
                self._seen[row.identity] = raw.line
                yield row
            except BadRow as error:
                yield Fate(raw.line, said if said.isprintable() else "", _shown(name), REFUSED, str(error))

    def _done(self, chunk: Sequence[Row | Fate]) -> Iterator[Fate]:
        rows = [one for one in chunk if isinstance(one, Row)]
        # By id(): all objects of a JSON file may stand in one line.
        fates = {id(one): one for one in chunk if isinstance(one, Fate)}
        if rows:
            problems: dict[int, str] = {}
            settle_passwords(rows, problems, hash_them=not self._dry_run)
            fates |= {id(row): _fate(row, REFUSED, problems[id(row)]) for row in rows if id(row) in problems}
            with self._writing():
                fates |= self._judged(rows[0].kind, [row for row in rows if id(row) not in problems])
        return (fates[id(one)] for one in chunk)

    def _writing(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._dry_run else _directory_changing()

    def _judged(self, kind: Kind, rows: Sequence[Row]) -> dict[int, Fate]:
        applier = APPLIERS[kind.name](rows, self._ledger)
        new: list[Change] = []
        changed: list[Change] = []
        fates: dict[int, Fate] = {}
        for row in rows:
            try:
                fates[id(row)] = self._judge(applier, row, new, changed)
            except BadRow as error:
                fates[id(row)] = _fate(row, REFUSED, str(error))
            except ValidationError as error:
                fates[id(row)] = _fate(row, REFUSED, sentences(error))
        if not self._dry_run:
            self._write(applier, kind, new, changed)
        applier.plan(new)
        return fates

    def _judge(self, applier: Applier, row: Row, new: list[Change], changed: list[Change]) -> Fate:
        change = applier.change(row)
        if change is None:
            change = applier.new(row)
            applier.validate(change)
            new.append(change)
            locked = row.kind.name == "user" and not change.instance.has_usable_password()
            return _fate(row, ADDED, "without a password: nobody can log in" if locked else "")
        names = ", ".join(change.names)
        if not names:
            return _fate(row, SAME)
        if not self._update:
            return _fate(row, REFUSED, f"it is there with other values ({names}); --update changes them")
        applier.validate(change)
        changed.append(change)
        return _fate(row, CHANGED, names)

    def _write(self, applier: Applier, kind: Kind, new: Sequence[Change], changed: Sequence[Change]) -> None:
        if new:
            applier.add(new)
        if changed:
            applier.save(changed)
        for some, verb in ((new, "add"), (changed, "change")):
            history.record_many(
                self._actor,
                _ACTION.get(kind.name, f"{verb} {kind.name}"),
                [(applier.subject(one), applier.told(one, is_new=some is new)) for one in some],
            )
        for change in changed:
            is_closed = change.fields.get("status", Status.ENABLED) != Status.ENABLED
            if kind.name == "user" and (is_closed or "password" in change.fields):
                self._closed_users.add(change.row.address)
            elif kind.name == "domain" and is_closed:
                self._closed_domains.add(change.row.address)

    def _finish(self, name: str) -> None:
        """One line in the audit; and whoever is in by what is not so any more is out."""
        history.record(self._actor, "import accounts", name, parameters={"fates": dict(self.fates)})
        if self._closed_users:
            self.dropped = end_quietly(self._closed_users)
        for domain in self._closed_domains:
            self.dropped = end_quietly(domain=domain)


@contextmanager
def _directory_changing() -> Iterator[None]:
    with transaction.atomic():
        # First, for its lock: nobody else adds addresses meanwhile.
        directory.changed()
        yield


def _chunks(rows: Iterable[Row | Fate]) -> Iterator[list[Row | Fate]]:
    """Rows of one kind after the other, at most so many together; those that are refused already go along."""
    chunk: list[Row | Fate] = []
    kind = ""
    for one in rows:
        differs = isinstance(one, Row) and kind not in ("", one.kind.name)
        if chunk and (differs or len(chunk) >= CHUNK):
            yield chunk
            chunk, kind = [], ""
        if isinstance(one, Row):
            kind = one.kind.name
        chunk.append(one)
    if chunk:
        yield chunk


def _fate(row: Row, fate: str, why: str = "") -> Fate:
    name = f"{row.more['member']} on {row.address}" if row.kind.name == "member" else row.address
    return Fate(row.line, row.kind.name, name, fate, why)


def _shown(text: str) -> str:
    shown = text if text.isprintable() else repr(text)
    return shown if len(shown) <= 254 else f"{shown[:253]}…"
