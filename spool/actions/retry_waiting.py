"""Having what waits for a site tried again, where that is more than somebody would wait for: a job in the background.

A few are done at once (spool.actions.destinations), in the same way: the oldest first, each due in its turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext_lazy as _lazy

from spool.actions.verb import Context, Progress, Tally, Verb
from spool.delivery.shaping import destinations
from spool.flow import doorbell
from spool.models.bulkjob import BulkJob
from spool.rows import rest, statements

_LOOK: Final = 5_000


class RetryWaiting(Verb):
    """All that waits for a site is tried again. `parameters`: the `destination`'s name, and since when (`since`)."""

    name, label, past = "destination-retry", _lazy("Retry"), _lazy("tried again")
    icon = "replay"

    def chunks(self, job: BulkJob) -> Iterator[list[int]]:
        yield from _waiting(job, job.cursor)

    def count(self, job: BulkJob) -> int:
        return sum(map(len, _waiting(job, 0)))

    def is_repeatable(self, parameters: Mapping[str, Any]) -> bool:
        return True

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        turns = destinations.Turns(
            destinations.key_named(parameters["destination"]),
            datetime.fromisoformat(parameters["since"]),
            context.done,
        )
        with statements.write_transaction():
            done = turns.give(ids)
            left = len(ids) - done
            progress(Tally(done, 0, left, "are tried sooner, or have gone" if left else ""), ids[-1])
        doorbell.ring()


def _waiting(job: BulkJob, cursor: int) -> Iterator[list[int]]:
    """What waits there, the oldest first: a provider has more domains than a question can have. So all that waits is
    looked at, a part at a time.
    """
    key = destinations.key_named(job.parameters["destination"])
    while ids := rest.waiting_from(cursor, job.last_id, timezone.now(), _LOOK):
        with statements.write_transaction():
            statements.prefer_indexes()
            found = rest.for_site(ids, key.site, key.source)
        if found:
            yield found
        cursor = ids[-1]
