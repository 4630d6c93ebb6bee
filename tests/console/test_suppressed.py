"""Suppression lists on pages: out as CSV, in again with a look first, and what a domain's administrator has."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, directory
from accounts.models import Role
from base.audit.models import AuditEvent
from spool.models import Suppression
from tests.console.conftest import administrator
from tests.console.test_portal import a_user, browser

__all__ = ["administrator"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
HERE = "example.org"


@pytest.fixture(autouse=True)
def _domain() -> None:
    directory.forget()
    actions.add_domain(HERE)


def a_row(address: str, domain: str = HERE, days: int = 0, **fields: object) -> Suppression:
    now = timezone.now()
    expires = now + timedelta(days=days) if days else None
    return Suppression.objects.create(
        domain=domain, address=address, reason="bounce", since=now, expires=expires, **fields
    )


def test_a_list_goes_out_and_comes_in_again_after_a_look_at_each_line(administrator: Client) -> None:
    a_row("dead@far.test", evidence='=cmd|"x"')
    exported = administrator.get("/admin/spool/suppression/export", follow=True)
    csv = b"".join(exported.streaming_content).decode()  # type: ignore[attr-defined]
    assert csv.splitlines()[0] == "domain,address,reason,evidence,since,expires"
    assert f'{HERE},dead@far.test,bounce,"\'=cmd|""x""",' in csv
    Suppression.objects.all().delete()
    a_row("known@far.test")
    lines = [f"{HERE},known@far.test", f"{HERE},abuse@far.test", "other.test,a@far.test", f"{HERE},DEAD@far.test", ","]
    file = SimpleUploadedFile("list.csv", (csv + "\n".join(lines)).encode())
    page = reverse("admin:spool_suppression_import")
    looked = administrator.post(page, {"file": file})
    shown = looked.content.decode()
    assert "1 to add; 2 on the list already; 3 left out" in shown
    for said in (
        "Line 2: dead@far.test (example.org): is added",
        "Line 3: known@far.test (example.org): on the list already, stays as it is",
        "Line 4: abuse@far.test (example.org): left out: abuse@far.test is never suppressed",
        "Line 5: a@far.test (other.test): left out: other.test is no domain of this server",
        "left out: it has no address",
    ):
        assert said in shown
    assert Suppression.objects.count() == 1, "it was only looked at"
    text = looked.context["form"]["text"].value()
    answer = administrator.post(page, {"text": text, "confirmed": "yes"}, follow=True).content.decode()
    assert "1 suppressed for example.org" in answer
    row = Suppression.objects.get(address="dead@far.test")
    assert (row.reason, row.evidence) == ("bounce", '=cmd|"x"')
    assert AuditEvent.objects.get(action="suppress").done == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Give some lines"),
        ({"text": "a@far.test"}, "wants a heading with the column address"),
        ({"text": "address\na@far.test"}, "say for which domain it is"),
        ({"text": "domain,address\nx,"}, "0 to add"),
    ],
)
def test_what_is_no_such_file_is_said(administrator: Client, fields: dict[str, str], said: str) -> None:
    page = reverse("admin:spool_suppression_import")
    assert said in administrator.post(page, fields).content.decode()


def test_null_characters_of_a_file_do_no_harm(administrator: Client) -> None:
    file = SimpleUploadedFile("list.csv", b"address,evidence\na@far.test,x\0y\n")
    page = reverse("admin:spool_suppression_import")
    shown = administrator.post(page, {"file": file, "domain": HERE, "confirmed": "yes"}, follow=True).content.decode()
    assert "1 suppressed for example.org" in shown
    assert Suppression.objects.get().evidence == "x\ufffdy"


def test_a_domains_administrator_sorts_exports_and_takes_back(administrator: Client) -> None:
    a_user(f"chief@{HERE}", role=Role.DOMAIN_ADMINISTRATOR)
    for number, name in enumerate(("cleo", "ann", "bob")):
        a_row(f"{name}@far.test", days=number)
    a_row("theirs@far.test", domain="other.test")
    for number in range(60):
        a_row(f"m{number:02}@far.test", days=500)
    chief, page = browser(f"chief@{HERE}"), reverse("portal:suppressed")

    def addresses(query: str) -> list[str]:
        return [row.address.partition("@")[0] for row in chief.get(f"{page}?{query}").context["rows"]]

    def all_of(sort: str) -> list[str]:
        answer = chief.get(page, {"sort": sort})
        first = [row.address for row in answer.context["rows"]]
        rest = chief.get(f"{page}?{answer.context['following']}").context["rows"]
        return first + [row.address for row in rest]

    for sort in ("address", "-address"):
        assert all_of(sort) == sorted(all_of(sort), reverse=sort.startswith("-")) and len(all_of(sort)) == 63
    assert all_of("expires")[-1] == "cleo@far.test" and all_of("-expires")[0] == "cleo@far.test"
    assert addresses("sort=since&q=far")[:3] == ["cleo", "ann", "bob"]
    assert addresses("")[0] == "m59" and addresses("sort=evil__x")[0] == "m59"
    assert 'aria-sort="ascending"' in chief.get(page, {"sort": "address"}).content.decode()

    csv = b"".join(chief.get(reverse("portal:suppressed_export"), {"q": "bob"}).streaming_content).decode()  # type: ignore[attr-defined]
    assert "bob@far.test" in csv and len(csv.splitlines()) == 2

    before = Suppression.objects.get(address="bob@far.test")
    chief.post(page, {"do": "remove", "address": ["bob@far.test", "theirs@far.test"]})
    assert not Suppression.objects.filter(address="bob@far.test").exists()
    assert Suppression.objects.filter(address="theirs@far.test").exists()
    assert "1 address was removed." in chief.get(page).content.decode()
    chief.post(page, {"do": "undo"})
    after = Suppression.objects.get(address="bob@far.test")
    assert (after.reason, after.since, after.expires) == (before.reason, before.since, before.expires)
    assert "was removed." not in chief.get(page).content.decode()
