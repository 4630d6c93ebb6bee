"""The page of the trash."""

from __future__ import annotations

import html
import re

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


def test_one_turns_its_pages_there_and_back(administrator: Client) -> None:
    entries = take_in(*(a_submission(subject=f"Invoice {number:02}") for number in range(60)))
    perform("delete", [entry.pk for entry in entries], Actor.system())
    here = reverse("admin:spool_trashed_changelist")
    first = administrator.get(here).content.decode()
    assert "Invoice 59" in first and "Invoice 10" in first and "Invoice 09" not in first
    assert 'rel="prev"' not in first
    second = administrator.get(here + _link(first, "next")).content.decode()
    assert "Invoice 09" in second and "Invoice 00" in second and "Invoice 10" not in second
    assert 'rel="next"' not in second
    again = administrator.get(here + _link(second, "prev")).content.decode()
    assert "Invoice 59" in again and "Invoice 10" in again and "Invoice 09" not in again
    nowhere = administrator.get(here, {"after": "x"})
    assert nowhere.status_code == 200 and "does not exist" in nowhere.content.decode()


def _link(page: str, rel: str) -> str:
    """The query of the link to another page."""
    found = re.search(rf'rel="{rel}" href="[^"?]*(\?[^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])
