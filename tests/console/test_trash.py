"""The page of the trash."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from spool.actions import Actor, perform
from spool.models import Trashed
from tests.support.messages import a_submission
from tests.support.spool_states import take_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]


def test_the_page_shows_what_is_there_and_empties_what_was_searched_for(administrator: Client) -> None:
    entries = take_in(a_submission(), a_submission("eve@example.com", subject="Invoice 7"), a_submission())
    perform("delete", [entry.pk for entry in entries], Actor.system())
    here = reverse("admin:spool_trashed_changelist")
    shown = administrator.get(here).content.decode()
    assert "3 messages" in shown
    assert "Empty trash" in shown
    assert 'data-act="empty-trash" data-query=""' in shown
    searched = administrator.get(here, {"sender": "eve@example.com"}).content.decode()
    assert "1 message," in searched
    assert "Invoice 7" in searched
    assert "Delete these for good" in searched
    assert administrator.get(here, {"older": "soon"}).status_code == 200
    given = {"all": "1", "query": "sender=eve%40example.com", "page": ""}
    dialog = administrator.post(reverse("admin:spool_entry_dialog", args=["empty-trash"]), given)
    assert "Empty trash: 1 message" in dialog.content.decode()
    administrator.post(reverse("admin:spool_entry_perform", args=["empty-trash"]), given)
    assert Trashed.objects.count() == 2
