"""Messages of which nobody knows whether their rows were committed: the answer of the commit was lost.

Their files stay until the database says what became of the transaction. By its number PostgreSQL tells whether it is
still open or was aborted; whether it was committed the rows tell, wherever a message can be.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection

from spool.files import store
from spool.places import whereabouts
from spool.rows import statements

log = logging.getLogger(__name__)


class Fate(Enum):
    """What became of a transaction. OPEN: it may still be carried out."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    OPEN = "in progress"


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages whose rows were inserted by each of `transactions` (their numbers), of which one at most committed."""

    subspool: str
    file_names: Sequence[str]
    transactions: Sequence[int]


_waiting: list[Batch] = []


def fate(batch: Batch) -> Fate:
    """What became of the batch. Raises django.db.Error."""
    if batch.transactions:
        try:
            outcome = _fate_of(batch.transactions)
        except LookupError:
            # Too long ago, or before a fail-over: only the rows can tell.
            outcome = Fate.COMMITTED
        if outcome is not Fate.COMMITTED:
            return outcome
        # Even then: after a crash of the server the number of a transaction that never reached the disk is given again.
    return Fate.COMMITTED if whereabouts.known(batch.file_names) else Fate.ABORTED


def _fate_of(transactions: Sequence[int]) -> Fate:
    """Raises LookupError when the server does not remember, and django.db.Error."""
    fates = set()
    for number in transactions:
        try:
            (status,) = statements.execute("SELECT txid_status(%s)", (number,)).fetchone()
        except DatabaseError as error:
            connection.close()
            if not _is_unknown(error):
                raise
            raise LookupError(number) from error
        fates.add(status)
    if Fate.COMMITTED.value in fates:
        return Fate.COMMITTED
    if None in fates:
        raise LookupError(transactions)
    return Fate.OPEN if Fate.OPEN.value in fates else Fate.ABORTED


def _is_unknown(error: DatabaseError) -> bool:
    """Whether the server has never heard of the transaction: it is another one, or was set back."""
    from psycopg.errors import InvalidParameterValue

    return isinstance(error.__cause__, InvalidParameterValue)


def lost_connection(error: BaseException) -> bool:
    """Whether PostgreSQL has not told what became of the transaction, and may not be there to be asked."""
    unknown = isinstance(error, OperationalError | InterfaceError)
    return unknown and not statements.on_sqlite() and not statements.says_full(error)


def keep(batch: Batch) -> None:
    """Decide later, by `settle`."""
    if batch.file_names:
        _waiting.append(batch)


def settle() -> None:
    """Remove the files of batches that turn out not to have been committed. Call it after a commit that went through.

    Not before: on SQLite what a failed commit has written may come back after a crash, until another one wrote over it.
    """
    if not _waiting:
        return
    batches, _waiting[:] = list(_waiting), []
    for batch in batches:
        try:
            outcome = fate(batch)
        except DatabaseError as error:
            connection.close()
            log.warning("what became of %d messages can't be told yet: %s", len(batch.file_names), error)
            outcome = Fate.OPEN
        if outcome is Fate.OPEN:
            _waiting.append(batch)
        elif outcome is Fate.ABORTED:
            remove_files(batch.subspool, batch.file_names)


def settle_now() -> None:
    """Decide at once, as far as can be told. Never raises.

    On SQLite something is committed first, so that what the failed commit has written can't come back.
    """
    if not _waiting:
        return
    if statements.on_sqlite():
        try:
            with statements.write_transaction():
                (number,) = statements.execute("PRAGMA user_version", ()).fetchone()
                # It is written whether it changes or not.
                statements.execute(f"PRAGMA user_version = {int(number)}", ())
        except (DatabaseError, OSError) as error:
            connection.close()
            log.warning("%d batches stay undecided until a commit goes through: %s", len(_waiting), error)
            return
    settle()


def remove_files(subspool: str, file_names: Sequence[str]) -> None:
    """Remove message files that no row names. What can't be removed now is left to the doctor."""
    for name in file_names:
        path = store.path_of(subspool, name)
        try:
            store.unlink(path)
        except OSError as error:
            log.error("%s could not be removed, the doctor will find it: %s", path, error)
