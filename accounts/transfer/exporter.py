"""All accounts as rows of a file, in the order in which an import takes them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from accounts import history
from accounts.actor import Actor
from accounts.fields import INHERIT_WORD, INHERITED
from accounts.models import Alias, Domain, DomainUserDefaults, ListMember, MailingList, User
from accounts.passwords.schemes import written
from accounts.transfer.columns import COLUMNS, KINDS
from base.csv_cells import escaped

AT_ONCE = 2_000
# An account that nobody can log in to.
LOCKED = "!"


def export(actor: Actor, form: str, domain: Domain | None = None, *, passwords: bool = True) -> Iterator[str]:
    """The file, piece by piece: all, or what is in one domain. Raises NotAllowed at once.

    It is a copy of everybody's hashes: it is written down too.
    """
    actor.require_administration()
    on = domain.name if domain is not None else "all accounts"
    history.record(actor, "export accounts", on, row=domain, parameters={"format": form, "hashes": passwords})
    return FORMATS[form](_rows(domain, passwords))


def _rows(domain: Domain | None, passwords: bool) -> Iterator[dict[str, Any]]:
    with _one_moment():
        for kind, some in _tables(domain).items():
            fields = KINDS[kind].fields
            for one in some.iterator(chunk_size=AT_ONCE):
                row = {"kind": kind, **_own(kind, one, passwords)}
                for name in fields:
                    value = getattr(one, name)
                    row[name] = INHERIT_WORD if name in INHERITED and not value else value
                yield row


def _tables(domain: Domain | None) -> Mapping[str, QuerySet[Any]]:
    tables: dict[str, tuple[QuerySet[Any], str]] = {
        "domain": (Domain.objects.order_by("name"), "pk"),
        "defaults": (DomainUserDefaults.objects.select_related("domain").order_by("domain__name"), "domain"),
        "user": (User.objects.order_by("email"), "domain"),
        "alias": (Alias.objects.prefetch_related("targets").order_by("address"), "domain"),
        "list": (MailingList.objects.select_related("owner").order_by("address"), "domain"),
        "member": (
            ListMember.objects.select_related("mailing_list").order_by("mailing_list__address", "pk"),
            "mailing_list__domain",
        ),
    }
    if domain is None:
        return {kind: rows for kind, (rows, _) in tables.items()}
    return {kind: rows.filter(**{column: domain.pk}) for kind, (rows, column) in tables.items()}


def _own(kind: str, one: Any, passwords: bool) -> dict[str, Any]:
    """The columns that are more than a field."""
    if kind == "domain":
        return {"address": one.name}
    if kind == "defaults":
        return {"address": one.domain.name}
    if kind == "user":
        password = {"password": written(one.password) or LOCKED} if passwords else {}
        return {"address": one.email, **password, "forward_to": one.forward_addresses}
    if kind == "alias":
        targets = sorted(one.targets.all(), key=lambda target: target.pk)
        return {"address": one.address, "to": [target.address for target in targets]}
    if kind == "list":
        return {"address": one.address, "owner": one.owner.email if one.owner is not None else ""}
    return {"address": one.mailing_list.address, "member": one.address}


@contextmanager
def _one_moment() -> Iterator[None]:
    """What is read belongs together, whatever is changed meanwhile."""
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        if is_outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def _csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
        if text.tell() > 64 * 1024:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escaped(" ".join(value) if isinstance(value, list) else str(value))


def _json(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """An array with an object on each line."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


FORMATS: Mapping[str, Callable[[Iterable[dict[str, Any]]], Iterator[str]]] = {"csv": _csv, "json": _json}
