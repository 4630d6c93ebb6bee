"""What is shown in the place of a page: in our words, without anything that may be missing itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory

from mailspool import error_pages


@pytest.mark.django_db
@pytest.mark.usefixtures("redis", "home")
class TestSites:
    @pytest.mark.parametrize(
        "path", ["/nowhere/", "/admin/nowhere/", "/admin/accounts/user/99999/contain/", "/admin/menu/x/?key=y"]
    )
    def test_a_page_that_is_not_there(self, administrator: Client, path: str) -> None:
        answer = administrator.get(path)
        assert answer.status_code == 404
        assert "There is no such page" in answer.text
        assert answer["Cache-Control"].startswith("no-store") or "no-store" in answer["Cache-Control"]
        assert "script-src" in answer["Content-Security-Policy"]
        assert "urlpatterns" not in answer.text

    def test_a_form_without_its_token(self, administrator: Client) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = administrator.cookies
        answer = strict.post("/admin/attention/1/acknowledge/")
        assert answer.status_code == 403
        assert "This form is out of date" in answer.text
        assert "Nothing was changed" in answer.text

    def test_what_a_stranger_asks_for_is_not_said_back(self, client: Client) -> None:
        answer = client.get("/<script>alert(1)</script>/")
        assert answer.status_code == 404
        assert "alert(1)" not in answer.text


def _handled(error: Exception, path: str = "/admin/x/") -> Any:
    try:
        raise error
    except type(error):
        return error_pages.failed(RequestFactory().get(path))


def test_a_page_that_failed_says_when_and_where_without_the_database() -> None:
    answer = _handled(ZeroDivisionError("secret"), "/admin/<b>/")
    assert answer.status_code == 500
    assert "This page failed" in answer.text
    assert "/admin/%3Cb%3E/" in answer.text or "&lt;b&gt;" in answer.text
    assert "secret" not in answer.text
    assert "<b>" not in answer.text


def test_a_database_that_is_away_is_said_with_when_to_come_back() -> None:
    answer = _handled(OperationalError("server closed the connection"))
    assert answer.status_code == 503
    assert "The database is away" in answer.text
    assert answer["Retry-After"] == "10"


def test_who_may_not_is_told_why_when_that_is_known() -> None:
    request = HttpRequest()
    assert "Only for the help desk" in error_pages.forbidden(request, PermissionDenied("Only for the help desk.")).text
    answer = error_pages.forbidden(request, PermissionDenied())
    assert answer.status_code == 403
    assert "No access" in answer.text
    assert "There is no such alert." in error_pages.missing(request, Http404("There is no such alert.")).text
