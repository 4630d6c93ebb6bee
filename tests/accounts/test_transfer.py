"""`account import` and `account export`: what is taken over, what is refused and why, and what can be repeated."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from pathlib import Path

import pytest
from django.contrib.auth import hashers
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import actions, directory, history
from accounts.models import (
    Alias,
    Domain,
    DomainUserDefaults,
    ListMember,
    MailingList,
    Role,
    Status,
    User,
)
from accounts.transfer import files
from base import csv_cells
from base.audit.models import AuditEvent
from tests.accounts.test_hashes import HASHES, PASSWORD
from tests.support.commands import Manage, Ran, manage_with

pytestmark = pytest.mark.django_db(transaction=True)

ALL = f"""\
kind,address,password,name,role,status,forward_to,to,member,owner,max_users,messages_per_hour,spam_high,enabled
domain,Example.ORG,,,,,,,,,50,100,delete,
defaults,example.org,,,,,,,,,,7,,
user,ann@example.org,{{BLF-CRYPT}}{HASHES["BLF-CRYPT"]},Ann,domain_admin,,"x@else.test, Y@else.test",,,,,5,junk,
user,bob@example.org,"{HASHES["SHA512-CRYPT"]}",Bob,,receiving,,,,,,,inherit,
alias,info@example.org,,,,,,ann@example.org bob@example.org,,,,,,no
list,team@example.org,,,,,,,,ann@example.org,,,,
member,team@example.org,,,,,,,ann@example.org,,,,,
member,team@example.org,,,,,,,carl@elsewhere.test,,,,,no
"""


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    directory.forget()
    return manage_with(capsys, monkeypatch, "accounts")


@pytest.fixture
def take(manage: Manage, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Imports a text; `name` tells the format."""

    def run(text: str | bytes, *options: str, name: str = "accounts.csv") -> Ran:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return manage("account", "import", str(path), *options)

    return run


def _everything() -> list[object]:
    """All that an import can bring, without keys and times."""
    left_out = ("id", "pk", "created", "added", "last_login")
    rows: list[object] = []
    for model in (Domain, DomainUserDefaults, User, Alias, MailingList, ListMember):
        names = [field.name for field in model._meta.concrete_fields if field.name not in left_out]
        shown = [name.replace("domain", "domain__name").replace("owner", "owner__email") for name in names]
        shown = ["mailing_list__address" if name == "mailing_list" else name for name in shown]
        rows.append(sorted(map(str, model._default_manager.values_list(*shown))))
    rows.append(sorted(map(str, Alias.objects.values_list("address", "targets__address"))))
    return rows


class TestImport:
    def test_all_kinds_are_taken_over(self, take) -> None:  # type: ignore[no-untyped-def]
        ran = take(ALL)
        assert ran.err == ""
        assert ran.out.splitlines()[0] == "line 2: domain example.org: added"
        assert ran.out.splitlines()[-1] == "8 added, 0 changed, 0 the same, 0 refused."
        assert ran.status == 0
        domain = Domain.objects.get()
        assert (domain.name, domain.max_users, domain.messages_per_hour, domain.spam_high) == (
            "example.org",
            50,
            100,
            "delete",
        )
        ann, bob = User.objects.order_by("email")
        assert (ann.role, ann.forward_addresses) == ("domain_admin", ["x@else.test", "Y@else.test"])
        assert (ann.messages_per_hour, bob.messages_per_hour) == (5, 7), "bob has the domain's defaults"
        assert (ann.spam_high, bob.spam_high, bob.status) == ("junk", "", "receiving")
        alias = Alias.objects.get()
        assert not alias.enabled
        assert [target.address for target in alias.targets.order_by("id")] == ["ann@example.org", "bob@example.org"]
        assert MailingList.objects.get().owner == ann
        assert list(ListMember.objects.order_by("address").values_list("address", "enabled")) == [
            ("ann@example.org", True),
            ("carl@elsewhere.test", False),
        ]
        assert directory.authenticate("ann@example.org", PASSWORD) is not None
        assert directory.authenticate("bob@example.org", PASSWORD) is None, "bob only receives"

    def test_a_dry_run_says_the_same_and_writes_nothing(self, take) -> None:  # type: ignore[no-untyped-def]
        dry = take(ALL, "--dry-run")
        assert _everything() == [[], [], [], [], [], [], []]
        assert AuditEvent.objects.count() == 0
        wet = take(ALL)
        assert dry.out.splitlines()[:-1] == wet.out.splitlines()[:-1]
        assert dry.out.splitlines()[-1] == "It would be: 8 added, 0 changed, 0 the same, 0 refused."

    def test_a_second_run_changes_nothing(self, take) -> None:  # type: ignore[no-untyped-def]
        take(ALL)
        before = _everything()
        again = take(ALL)
        assert (again.status, again.out.splitlines()[-1]) == (0, "0 added, 0 changed, 8 the same, 0 refused.")
        assert _everything() == before

    def test_what_is_there_is_changed_only_when_told_to(self, take) -> None:  # type: ignore[no-untyped-def]
        take(ALL)
        newer = ALL.replace("Bob,,receiving", "Robert,,enabled").replace("ann@example.org bob@", "bob@")
        refused = take(newer)
        assert refused.status == 1
        assert "bob@example.org: refused (it is there with other values (name, status); --update" in refused.out
        assert User.objects.get(email="bob@example.org").name == "Bob"
        changed = take(newer, "--update", "--quiet")
        assert (changed.status, changed.out.strip()) == (0, "0 added, 2 changed, 6 the same, 0 refused.")
        bob = User.objects.get(email="bob@example.org")
        assert (bob.name, bob.status) == ("Robert", Status.ENABLED)
        assert [target.address for target in Alias.objects.get().targets.all()] == ["bob@example.org"]

    def test_only_what_the_file_says_is_changed(self, take) -> None:  # type: ignore[no-untyped-def]
        take(ALL)
        take("address,mailbox_mb\nann@example.org,77\n", "--update")
        ann = User.objects.get(email="ann@example.org")
        assert (ann.mailbox_mb, ann.name, ann.messages_per_hour) == (77, "Ann", 5)
        assert hashers.check_password(PASSWORD, ann.password)

    def test_a_password_that_changes_and_a_state_that_closes_end_sessions(self, take, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        from accounts.transfer import importer

        ended: list[object] = []
        real = importer.end_quietly
        monkeypatch.setattr(
            importer,
            "end_quietly",
            lambda users=(), **more: (ended.append((sorted(users), more)), real(users, **more))[1],
        )
        take(ALL)
        assert ended == []
        take("address,password,status\nann@example.org,!,\nbob@example.org,,disabled\n", "--update")
        assert ended == [(["ann@example.org", "bob@example.org"], {})]
        assert not User.objects.get(email="ann@example.org").has_usable_password()

    def test_each_is_in_the_history_and_no_password_anywhere(self, take) -> None:  # type: ignore[no-untyped-def]
        secret = "{PLAIN}a secret of mine"
        ran = take(f"{ALL}user,eve@example.org,{secret},,,,,,,,,,,\nuser,x@example.org,{{MD5}}secret,,,,,,,,,,,\n")
        take("address,password\nann@example.org,{PLAIN}another secret\n", "--update")
        events = "\n".join(f"{e.action} {e.on} {e.outcome}" for e in AuditEvent.objects.order_by("id"))
        assert "add user ann@example.org Imported as Domain administrator" in events
        assert "add alias info@example.org Imported; delivers to ann@example.org, bob@example.org" in events
        assert "change list team@example.org carl@elsewhere.test: imported" in events
        assert "change user ann@example.org The password was changed" in events
        assert "9 added, 1 refused" in events
        ann = User.objects.get(email="ann@example.org")
        assert history.of_user(ann).get(action="add user", on="ann@example.org")
        for text in (ran.out, ran.err, events):
            assert "secret" not in text
            assert "$6$" not in text
        assert User.objects.get(email="eve@example.org").check_password("a secret of mine")

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("user,ann@nowhere.test,,,", "there is no domain nowhere.test"),
            ("user,not an address,,,", "needs a local part and a domain"),
            ("user,,,x,", "it has no address"),
            ("thing,a@example.org,,,", "'thing' is none of the kinds"),
            ("user,a@example.org,,,boss", "role: Value 'boss' is not a valid choice"),
            ("user,a@example.org,{SSHA}abc,,", "scheme {SSHA} can't be checked here"),
            ("user,a@example.org,{CRYPT}$6$rounds=999999999$a$" + "b" * 86 + ",,", "999,999,999 rounds"),
            ('user,a@example.org,,"x\x07y",', "name has a control character"),
            ('user,a@example.org,,"x\0y",', "name has a control character"),
            ("user,a@example.org,," + "x" * 201 + ",", "at most 200 characters"),
            ("domain,example.net,{PLAIN}x,,", "a row of kind domain has no 'password'"),
            ("domain,exa mple.net,,,", "is not a valid domain name"),
            ("user,info@example.org,,,", "taken already, by an alias"),
            ("alias,carl@example.org,,,", "is about the same already"),
            ("member,team@example.org,,,", "it has no member"),
            ("user,a@example.org,,,,,,,,,", "it has 11 cells under 5 columns"),
            ("user,carl@example.org,,,", "is about the same already"),
        ],
    )
    def test_a_bad_row_is_refused_with_the_reason_and_stops_no_other(self, take, row: str, reason: str) -> None:  # type: ignore[no-untyped-def]
        actions.add_domain("example.org")
        actions.add_alias("info@example.org", ["x@elsewhere.test"])
        for options in (["--dry-run"], []):
            ran = take(
                f"kind,address,password,name,role\nuser,carl@example.org,,,\n{row}\nuser,dora@example.org,,,\n",
                *options,
            )
            lines = ran.out.splitlines()
            assert lines[0] == "line 2: user carl@example.org: added (without a password: nobody can log in)"
            assert reason in lines[1]
            assert "dora@example.org: added" in lines[2]
            assert ran.status == 1
        assert User.objects.count() == 2

    def test_a_domain_takes_no_more_users_than_it_may(self, take) -> None:  # type: ignore[no-untyped-def]
        text = "kind,address,max_users\ndomain,example.org,2\n" + "".join(f"user,u{n}@example.org,\n" for n in range(3))
        for options in (["--dry-run"], []):
            assert "u2@example.org: refused (example.org has all the 2 users" in take(text, *options).out
        assert User.objects.count() == 2

    def test_only_a_system_administrator_may_be_without_a_domain(self, take) -> None:  # type: ignore[no-untyped-def]
        assert take("address,role\nroot@elsewhere.test,admin\n").status == 0
        assert User.objects.get().role == Role.SYSTEM_ADMINISTRATOR

    def test_dovecots_passwd_file_is_read(self, take) -> None:  # type: ignore[no-untyped-def]
        actions.add_domain("example.org")
        text = (
            "# users\n"
            f"ann@example.org:{{SHA512-CRYPT}}{HASHES['SHA512-CRYPT']}:5000:5000:Ann:/home/ann::userdb_quota_rule=*:storage=2G\n"
            f"bob@example.org:{HASHES['SHA512-CRYPT']}::::::nologin\n"
            "carl:{PLAIN}x\n"
        )
        ran = take(text, "--format", "passwd", name="users")
        ann, bob = User.objects.order_by("email")
        assert (ann.name, ann.mailbox_mb, bob.status) == ("Ann", 2048, Status.RECEIVING)
        assert hashers.check_password(PASSWORD, bob.password)
        assert "line 4: user carl: refused ('carl' needs a local part and a domain" in ran.out

    def test_json_is_read_in_each_of_its_shapes(self, take) -> None:  # type: ignore[no-untyped-def]
        objects = [
            {"kind": "domain", "address": "example.org", "max_users": 3},
            {"address": "ann@example.org", "forward_to": ["a@b.test"], "forward_keeps_copy": False, "name": None},
            {"address": "bob@example.org", "name": ["no"]},
            {"kind": "alias", "address": "info@example.org", "to": ["ann@example.org"], "enabled": True},
            "no object",
        ]
        for text in (
            json.dumps(objects),
            json.dumps(objects, indent=3),
            "\n".join(map(json.dumps, objects)),
        ):
            dry = take(text, "--dry-run", "--json", name="x.json").json
            assert dry["totals"] == {"added": 3, "changed": 0, "the_same": 0, "refused": 2}
            assert [row["why"] for row in dry["rows"]][2:] == [
                "name can't be ['no']",
                "",
                "it is not an object with the row's columns",
            ]
        take(json.dumps(objects), name="x.json")
        assert not User.objects.get().forward_keeps_copy

    @pytest.mark.parametrize(
        ("content", "name", "sentence"),
        [
            (b"", "x.csv", "must name the columns"),
            (b"adress,name\n", "x.csv", "columns that there aren't: 'adress'"),
            (b"address\n\xff\xfe\n", "x.csv", "Line 2 is not UTF-8"),
            (b'address\n"never closed\n', "x.csv", "Line 2: unexpected end"),
            (b"[{]", "x.json", "Line 1: what begins there is no JSON"),
            (b'\n\n[{"a": ' + b"[" * 200_000, "x.json", "Line 3: what begins there is no JSON"),
            (b'{"address": ' + b"9" * 9_000 + b"}", "x.json", "Line 1: what begins there is no JSON"),
            (b"\xff", "x.json", "not UTF-8"),
            (b"address\n", "x.txt", "give --format"),
        ],
    )
    def test_a_file_that_is_none_is_refused_with_the_place(  # type: ignore[no-untyped-def]
        self, take, content: bytes, name: str, sentence: str
    ) -> None:
        ran = take(content, name=name)
        assert ran.status == 1
        assert sentence in ran.err
        assert "Traceback" not in ran.err

    def test_a_file_that_is_not_there_is_a_sentence(self, manage: Manage) -> None:
        ran = manage("account", "import", "/nowhere/x.csv")
        assert (ran.status, ran.err.strip()) == (1, "/nowhere/x.csv: No such file or directory.")

    def test_queries_do_not_grow_with_rows(self, take, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
        actions.add_domain("example.org")
        rows = "".join(f"u{number}@example.org,{HASHES['SHA512-CRYPT']}\n" for number in range(400))
        with django_assert_max_num_queries(40):
            assert "400 added" in take(f"address,password\n{rows}", "--quiet").out


class TestExport:
    @pytest.mark.parametrize("form", ["csv", "json"])
    def test_an_export_taken_into_an_empty_installation_is_equal(  # type: ignore[no-untyped-def]
        self, take, manage: Manage, tmp_path: Path, form: str
    ) -> None:
        take(ALL)
        User.objects.filter(email="bob@example.org").update(name="=1+1", forward_to='"a, b"@elsewhere.test')
        Domain.objects.update(description="'+x", catch_all="ann@example.org", status=Status.RECEIVING)
        actions.add_user("root@localhost", "correct-horse-battery", role=Role.SYSTEM_ADMINISTRATOR)
        before = _everything()
        path = tmp_path / f"out.{form}"
        assert manage("account", "export", "--format", form, "--output", str(path)).status == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for model in (ListMember, MailingList, Alias, User, DomainUserDefaults, Domain):
            model._default_manager.all().delete()
        directory.forget()
        ran = manage("account", "import", str(path))
        assert (ran.status, ran.err) == (0, "")
        assert _everything() == before
        assert manage("account", "import", str(path), "--quiet").out.strip() == (
            "0 added, 0 changed, 9 the same, 0 refused."
        )

    def test_no_cell_is_a_formula_and_no_hash_is_there_unless_wanted(self, take, manage: Manage) -> None:  # type: ignore[no-untyped-def]
        take(ALL)
        User.objects.update(name="=HYPERLINK()")
        out = manage("account", "export", "--no-passwords").out
        rows = list(csv.DictReader(io.StringIO(out)))
        assert {row["name"] for row in rows if row["kind"] == "user"} == {"'=HYPERLINK()"}
        assert "$6$" not in out
        assert AuditEvent.objects.filter(action="export accounts").count() == 1

    def test_one_domain_alone_can_be_exported(self, take, manage: Manage) -> None:  # type: ignore[no-untyped-def]
        take(ALL)
        actions.add_domain("example.net")
        rows = json.loads(manage("account", "export", "--domain", "example.org", "--format", "json").out)
        assert [row["kind"] for row in rows] == [
            "domain",
            "defaults",
            "user",
            "user",
            "alias",
            "list",
            "member",
            "member",
        ]
        assert {row["address"].rpartition("@")[2] for row in rows} == {"example.org"}
        assert manage("account", "export", "--domain", "nowhere.test").status == 1

    def test_a_file_that_is_there_is_not_overwritten(self, manage: Manage, tmp_path: Path) -> None:
        ran = manage("account", "export", "--output", str(tmp_path))
        assert (ran.status, ran.err.strip()) == (1, f"{tmp_path}: File exists.")


@given(st.text())
@settings(max_examples=100)
def test_what_is_escaped_for_a_spreadsheet_comes_back(text: str) -> None:
    assert csv_cells.unescaped(csv_cells.escaped(text)) == text
    assert not csv_cells.escaped(text).startswith(("=", "+", "-", "@"))


@given(st.binary(max_size=400))
@settings(max_examples=100)
def test_any_bytes_are_rows_or_a_sentence(content: bytes) -> None:
    for read in files.FORMATS.values():
        try:
            for row in read(io.BytesIO(content)):
                assert row.line > 0
        except files.BadFile as error:
            assert str(error)


@pytest.mark.postgresql
def test_the_recipes_for_postfixadmin_give_files_that_are_taken(take) -> None:  # type: ignore[no-untyped-def]
    page = (Path(__file__).parents[2] / "docs" / "moving.md").read_text()
    section = page.partition("### From PostfixAdmin")[2].partition("\n### ")[0]
    blocks = re.findall(r"(?:^    .+\n)+", section, re.MULTILINE)
    assert len(blocks) == 4
    with connection.cursor() as cursor:
        # As PostfixAdmin 3.3 makes them, as far as they are asked about.
        cursor.execute("CREATE TEMP TABLE domain (domain varchar, description varchar, active boolean)")
        cursor.execute(
            "CREATE TEMP TABLE mailbox (username varchar, password varchar, name varchar, quota bigint, active boolean)"
        )
        cursor.execute("CREATE TEMP TABLE alias (address varchar, goto text, active boolean)")
        cursor.execute("INSERT INTO domain VALUES ('ALL', '', true), ('example.org', 'Ours', true)")
        cursor.execute(
            "INSERT INTO mailbox VALUES ('ann@example.org', %s, 'Ann', 2048000000, true),"
            " ('bob@example.org', %s, 'Bob', 0, false)",
            [HASHES["BLF-CRYPT"], f"{{SHA512-CRYPT}}{HASHES['SHA512-CRYPT']}"],
        )
        cursor.execute(
            "INSERT INTO alias VALUES ('ann@example.org', 'ann@example.org,a@else.test', true), ('bob@example.org',"
            " 'b@else.test', true), ('info@example.org', 'ann@example.org,c@else.test', false), ('@example.org',"
            " 'ann@example.org', true)"
        )
        texts = []
        for block in blocks:
            cursor.execute(block)
            assert cursor.description is not None
            file = io.StringIO()
            writer = csv.writer(file)
            writer.writerow([column.name for column in cursor.description])
            writer.writerows(cursor.fetchall())
            texts.append(file.getvalue())
        for table in ("domain", "mailbox", "alias"):
            cursor.execute(f"DROP TABLE pg_temp.{table}")
    for text in texts:
        ran = take(text, "--update")
        assert ran.status == 0, ran.out
    assert Domain.objects.values_list("description", "catch_all").get() == ("Ours", "ann@example.org")
    ann, bob = User.objects.order_by("email")
    assert (ann.mailbox_mb, ann.forward_addresses, ann.forward_keeps_copy) == (2000, ["a@else.test"], True)
    assert (bob.mailbox_mb, bob.forward_addresses, bob.forward_keeps_copy) == (0, ["b@else.test"], False)
    assert (bob.status, ann.check_password(PASSWORD)) == ("disabled", True)
    assert list(Alias.objects.values_list("address", "enabled", "targets__address").order_by("targets__id")) == [
        ("info@example.org", False, "ann@example.org"),
        ("info@example.org", False, "c@else.test"),
    ]
