"""The fields of accounts are described once: every door has them, and says the same where they are wrong."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from accounts import actions
from accounts.admin.aliases import AliasAdmin, AliasForm
from accounts.admin.defaults import DomainDefaultsAdmin, UserDefaultsAdmin
from accounts.admin.domains import DomainAdmin
from accounts.admin.lists import MailingListAdmin, MailingListForm
from accounts.admin.users import UserAdmin, UserForm
from accounts.fields import ALIAS, DEFAULTS, DOMAIN, KINDS, LIST, USER, Kind
from accounts.management.arguments import add_arguments
from accounts.models import Alias, Role, User
from accounts.transfer.columns import KINDS as ROWS
from mailspool.portal import forms as portal

pytestmark = [pytest.mark.django_db, pytest.mark.alike]

# Of the models, what nobody types in: the address says the domain, and the program the rest.
NOT_TYPED = {"id", "domain", "created", "password", "last_login"}


@pytest.mark.parametrize("kind", [*KINDS.values(), *DEFAULTS.values()], ids=lambda kind: kind.model.__name__)
def test_every_field_of_a_model_is_in_one_group(kind: Kind) -> None:
    grouped = [name for name in kind.inputs if name in {field.name for field in kind.model._meta.fields}]
    assert sorted(grouped) == sorted({field.name for field in kind.model._meta.fields} - NOT_TYPED)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_command_and_files_have_every_field(kind: Kind) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    # A field is an option, or what the command has another way for: verbs, roles, lists of addresses.
    said = vars(parser.parse_args([kind.name, "set", "x"]))
    assert kind.apart <= set(kind.fields)
    assert set(kind.fields) - kind.apart <= set(said)
    assert {"address", *kind.fields} <= set(ROWS[kind.name].columns)


@pytest.mark.parametrize(
    ("kind", "page", "form"),
    [(USER, UserAdmin, UserForm), (ALIAS, AliasAdmin, AliasForm), (LIST, MailingListAdmin, MailingListForm)],
)
def test_console_and_user_site_have_every_field(kind: Kind, page: Any, form: Any) -> None:
    # The console asks besides whether somebody is really to be a system administrator.
    asked = [
        (title, {**options, "fields": [one for one in options["fields"] if one != "is_agreed"]})
        for title, options in page.fieldsets
    ]
    assert asked == kind.fieldsets
    assert [name for name in form.base_fields if name != "is_agreed"] == kind.inputs
    of_domains = {"user": portal.UserForm, "alias": portal.AliasForm, "list": portal.ListForm}[kind.name]
    reserved = {name for group in kind.groups if group.is_reserved for name in group.names}
    assert set(of_domains.base_fields) - {"old_members"} == set(kind.inputs) - reserved
    for name, field in of_domains.base_fields.items():
        if name != "old_members" and name != "forward_to":
            here = form.base_fields[name]
            assert (str(here.label), str(here.help_text)) == (str(field.label), str(field.help_text)), name


def test_pages_without_forms_of_their_own_have_every_field() -> None:
    assert DomainAdmin.fieldsets == DOMAIN.fieldsets
    assert DomainDefaultsAdmin.fieldsets == DEFAULTS["domain"].fieldsets
    assert UserDefaultsAdmin.fieldsets == DEFAULTS["user"].fieldsets


PASSWORD = "a-long-enough-secret"


@pytest.fixture
def example(client: Client) -> Client:
    """A client of a domain administrator, in a domain with a limit, an alias and all places taken but one."""
    actions.add_domain("example.org", max_users=3)
    actions.add_user("chief@example.org", PASSWORD, role=Role.DOMAIN_ADMINISTRATOR)
    actions.add_alias("sales@example.org", ["chief@example.org"])
    client.force_login(User.objects.get())
    return client


def _at_the_shell(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        call_command("account", *words)
    return capsys.readouterr().err


def _in_a_file(tmp_path: Path, **row: object) -> str:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row]))
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("account", "import", str(path), "--format", "json", "--json", stdout=out)
    return out.getvalue()


def _on_a_page(client: Client, path: str, **fields: object) -> str:
    answer = client.post(path, {"status": "enabled", "role": "user", "forward_to": "", **fields})
    assert answer.status_code == 200, "it was taken"
    return strip_tags(answer.content.decode()).replace("&#x27;", "'").replace("&quot;", '"')


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("max_recipients", "100001", "Ensure this value is less than or equal to 100000."),
        ("name", "x" * 201, "Ensure this value has at most 200 characters (it has 201)."),
        ("spam_low", "sometimes", "sometimes"),
        ("forward_to", "nonsense", "'nonsense' needs a local part and a domain, as in ann@example.org"),
        ("email", "sales@example.org", "sales@example.org is taken already, by an alias."),
    ],
)
def test_what_is_wrong_with_a_user_is_said_in_one_sentence_everywhere(
    example: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path, field: str, value: str, sentence: str
) -> None:
    email = value if field == "email" else "new@example.org"
    own = {} if field == "email" else {field: value}
    if field == "spam_low":
        # The command line refuses it as usage, the others as a choice that there is not.
        assert sentence in _on_a_page(example, reverse("portal:add_users"), email=email, new_password=PASSWORD, **own)
    else:
        options = [f"--{name.replace('_', '-')}={text}" for name, text in own.items()]
        assert sentence in _at_the_shell("user", "add", email, "--password", PASSWORD, *options, capsys=capsys)
    assert sentence in _in_a_file(tmp_path, kind="user", address=email, **own)
    given = {"email": email, "new_password": PASSWORD, **own}
    assert sentence in _on_a_page(example, reverse("portal:add_users"), **given)
    User.objects.update(role=Role.SYSTEM_ADMINISTRATOR)
    assert sentence in _on_a_page(example, reverse("admin:accounts_user_add"), **given)
    assert User.objects.count() == 1


def test_an_alias_can_t_stand_for_itself_anywhere(
    example: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    address, sentence = "info@example.org", "info@example.org can't stand for itself."
    assert sentence in _at_the_shell("alias", "add", address, "--to", address, capsys=capsys)
    assert sentence in _in_a_file(tmp_path, kind="alias", address=address, to=[address])
    given = {"address": address, "targets": address}
    assert sentence in _on_a_page(example, reverse("portal:add_aliases"), **given)
    User.objects.update(role=Role.SYSTEM_ADMINISTRATOR)
    assert sentence in _on_a_page(example, reverse("admin:accounts_alias_add"), **given)
    assert Alias.objects.count() == 1


def test_a_forward_elsewhere_is_kept_as_it_is_written_on_every_page(example: Client) -> None:
    chief = User.objects.get()
    for path in ("portal:forwarding", "admin:accounts_user_change"):
        User.objects.update(forward_to="", role=Role.SYSTEM_ADMINISTRATOR)
        fields = {"email": chief.email, "role": "admin", "status": "enabled", "forward_to": "Ann.Smith@Far.TEST"}
        form = UserForm(instance=chief)
        shown = {name: form[name].value() for name in form.fields if form[name].value() is not None}
        url = reverse(path) if path.startswith("portal") else reverse(path, args=[chief.pk])
        answer = example.post(url, {**shown, **fields})
        assert answer.status_code == 302, strip_tags(answer.content.decode())
        assert User.objects.get().forward_to == "Ann.Smith@far.test", path
