"""The trash is emptied by page, command and filter, and gives way by itself when the disk is short."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Role
from spool.actions import Actor, NotAllowed, Refused, perform, preview, undo
from spool.actions.empty_trash import MB, give_way
from spool.files import store
from spool.files.store import path_of
from spool.filters import SpoolFilter
from spool.models import AuditEvent, Entry, Settings, Trace, Trashed
from spool.models import settings as settings_model
from tests.support.commands import Manage, manage_with
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


def some_deleted() -> dict[str, Entry]:
    """A message each of Ann, of Eve, and to a recipient of its own, in the trash."""
    submissions = (
        a_submission(),
        a_submission("eve@example.com", subject="Invoice 7"),
        a_submission(to="zoe@far.test"),
    )
    found = dict(zip(("ann", "eve", "to"), take_in(*submissions), strict=True))
    perform("delete", [entry.pk for entry in found.values()], ROOT)
    assert Trashed.objects.count() == 3
    return found


def test_what_a_filter_matches_is_gone_for_good_with_its_file_and_a_trace() -> None:
    found = some_deleted()
    shown = preview("empty-trash", SpoolFilter(sender="eve@example.com"), ROOT)
    assert (shown.count.number, [row.subject for row in shown.sample]) == (1, ["Invoice 7"])
    assert "can't be undone" in shown.effect
    outcome = perform("empty-trash", SpoolFilter(sender="eve@example.com"), ROOT)
    assert outcome.sentence == "1 removed for good"
    assert not path_of(found["eve"].subspool, found["eve"].file_name).exists()
    assert set(Trashed.objects.values_list("pk", flat=True)) == {found["ann"].pk, found["to"].pk}
    assert Trace.objects.get(file_name=found["eve"].file_name).outcome == "removed"
    event = AuditEvent.objects.get(action="empty-trash")
    assert (event.actor, event.done) == (ROOT.name, 1)
    assert event.on == "messages from eve@example.com, in the trash"


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        (SpoolFilter(recipient="zoe@far.test"), {"ann", "eve"}),
        (SpoolFilter(subject="invoice"), {"ann", "to"}),
        (SpoolFilter(older_than=timedelta(days=1)), {"ann", "to"}),
        (SpoolFilter(), set()),
        (SpoolFilter(larger_than=10**9), {"ann", "eve", "to"}),
    ],
)
def test_each_condition_means_what_was_deleted(chosen: SpoolFilter, left: set[str]) -> None:
    found = some_deleted()
    Trashed.objects.filter(pk=found["eve"].pk).update(at=timezone.now() - timedelta(days=2))
    perform("empty-trash", chosen, ROOT)
    assert set(Trashed.objects.values_list("pk", flat=True)) == {found[name].pk for name in left}


def test_what_was_moved_to_a_folder_stays_there_and_can_be_put_back() -> None:
    moved = perform("move", [take_in()[0].pk], ROOT)
    perform("empty-trash", SpoolFilter(), ROOT)
    assert Trashed.objects.count() == 1
    undo(ROOT, event_id=moved.event.pk)
    assert Entry.objects.count() == 1


def test_nobody_but_a_system_administrator_empties_it_and_nothing_is_left_to_undo() -> None:
    deletion = perform("delete", [take_in()[0].pk], ROOT)
    with pytest.raises(NotAllowed):
        perform("empty-trash", SpoolFilter(), Actor("boss@example.org", Role.DOMAIN_ADMINISTRATOR, "example.org"))
    perform("empty-trash", SpoolFilter(), ROOT)
    with pytest.raises(Refused, match="nothing left to undo"):
        undo(ROOT, event_id=deletion.event.pk)


class TestWhenTheDiskIsShort:
    @pytest.fixture
    def free_mb(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        settings = Settings.load()
        settings.min_free_mb = 100
        settings.save()
        settings_model.forget()
        return lambda number: monkeypatch.setattr(store, "free_bytes", lambda: int(number * MB))

    def test_what_was_deleted_first_goes_as_much_as_is_needed_and_it_is_written_down(
        self, free_mb: Callable[[float], None]
    ) -> None:
        found = some_deleted()
        Trashed.objects.update(size_bytes=15 * MB)
        for age, name in enumerate(("ann", "to", "eve"), 1):
            Trashed.objects.filter(pk=found[name].pk).update(at=timezone.now() - timedelta(days=age))
        free_mb(200)
        assert give_way(timezone.now()) == 0
        free_mb(95)
        assert give_way(timezone.now()) == 2
        assert list(Trashed.objects.values_list("pk", flat=True)) == [found["ann"].pk]
        event = AuditEvent.objects.get(action="empty-trash")
        assert (event.actor, event.done, event.on) == (
            Actor.system().name,
            2,
            "2 of the messages that were deleted first",
        )
        assert event.outcome == (
            "Removed for good, about 30 MB: only 95 MB of the disk were free, and the settings ask for 100 MB"
        )

    def test_an_empty_trash_has_nothing_to_give(self, free_mb: Callable[[float], None]) -> None:
        free_mb(1)
        assert give_way(timezone.now()) == 0
        assert not AuditEvent.objects.exists()


def test_the_command_empties_it_by_condition_or_all_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    manage: Manage = manage_with(capsys, monkeypatch, "spool")
    some_deleted()
    assert manage("spool", "empty-trash", "--yes").status == 2
    assert manage("spool", "empty-trash", "--all", "--dry-run", "--json").json["matched"] == 3
    assert manage("spool", "empty-trash", "--sender", "eve@example.com", "--yes", "--json").json["done"] == 1
    assert manage("spool", "empty-trash", "--all", "--yes", "--json").json["done"] == 2
    assert manage("spool", "empty-trash", "--all", "--yes").status == 1
