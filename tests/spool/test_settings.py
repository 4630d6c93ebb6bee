"""Settings: what each may be, in the form and in the command alike, and the parsers behind them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from mailspool.home import Home
from spool.models import Settings
from spool.models.settings import current, parse_retry_intervals
from spool.smtpd.tls import server_context
from tests.support.certificates import Authority
from tests.support.commands import Manage, manage_with
from tests.support.editing_pages import page_with, pages_of

# (setting, what somebody writes, the sentence that says what is wrong)
WRONG = [
    ("delivery_delay_seconds", "soon", "must be an integer"),
    ("delivery_delay_seconds", "-1", "greater than or equal to 0"),
    ("delivery_delay_seconds", "86401", "less than or equal to 86400"),
    ("max_recipients", "99", "greater than or equal to 100"),
    ("max_message_kb", "0", "greater than or equal to 1"),
    ("smtp_out_port", "65536", "less than or equal to 65535"),
    ("retry_intervals_minutes", "", "can’t be blank|cannot be blank|field is required"),
    ("retry_intervals_minutes", ", ,", "Give at least one interval in minutes"),
    ("retry_intervals_minutes", "15, soon", "'soon' is not a number of minutes"),
    ("retry_intervals_minutes", "15, -3", "is not between 0 and 10080"),
    ("retry_intervals_minutes", "nan", "is not between 0 and 10080"),
    ("retry_intervals_minutes", "inf", "is not between 0 and 10080"),
    ("source_address", "127.0.0", "Enter a valid IPv4 or IPv6 address"),
    ("tls_policy", "sometimes", "sometimes is none of: |not one of the available choices"),
    ("local_store", "mbox", "mbox is none of: |not one of the available choices"),
    ("local_store", "lmtp", "LMTP delivery needs the address of the mail store"),
    ("lmtp_address", "localhost", "neither host:port"),
    ("lmtp_address", "localhost:99999", "neither host:port"),
    ("lmtp_address", "[::1:24", "is not an IP address in brackets"),
    ("lmtp_address", "[x]:24", "is not an IPv6 address"),
    ("postmaster", "postmaster", "needs a local part and a domain"),
    ("tls_certificate", "/etc/cert.pem", "go together: give both or neither"),
    ("tls_key", "/etc/key.pem", "go together: give both or neither"),
]


@pytest.mark.django_db(transaction=True)
class TestCommand:
    @pytest.fixture
    def manage(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
        return manage_with(capsys, monkeypatch, "spool")

    @pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
    def test_a_wrong_value_is_refused_with_the_settings_name_and_a_sentence(
        self, manage: Manage, name: str, value: str, sentence: str
    ) -> None:
        before = Settings.load()
        refused = manage("settings", "set", name, value)
        assert refused.status == 1
        assert any(part in refused.err for part in sentence.split("|")), refused.err
        # Where something is missing beside it, that is what is named.
        assert name in refused.err or "LMTP delivery" in refused.err or "go together" in refused.err
        assert getattr(Settings.load(), name) == getattr(before, name)

    def test_a_change_is_made_and_shown(self, manage: Manage) -> None:
        assert manage("settings", "set", "delivery_delay_seconds", "7").status == 0
        assert manage("settings", "get", "delivery_delay_seconds").out == "7\n"
        assert manage("settings", "get", "delivery-delay-seconds", "--json").json == {"delivery_delay_seconds": 7}
        assert manage("settings", "set", "move_roots", "/srv/moved", "--json").status == 0
        everything = manage("settings", "list", "--json").json
        assert everything["delivery_delay_seconds"] == 7
        own = {name for name in everything if "." not in name}
        assert own == {field.name for field in Settings._meta.fields} - {"id"}
        assert "delivery_delay_seconds = 7" in manage("settings", "list").out

    def test_settings_that_need_each_other_are_set_together(self, manage: Manage, tmp_path: Path) -> None:
        chain, key = Authority(tmp_path).files(tmp_path / "live", "mail.test")
        assert manage("settings", "set", f"tls_certificate={chain}", f"tls-key={key}", "max_hops=20").status == 0
        row = Settings.load()
        assert (row.tls_certificate, row.tls_key, row.max_hops) == (str(chain), str(key), 20)
        assert manage("settings", "set", "tls_certificate=", "tls_key=", "--json").json == {
            "tls_certificate": "",
            "tls_key": "",
        }

    def test_of_several_settings_all_are_changed_or_none(self, manage: Manage) -> None:
        before = Settings.load()
        refused = manage("settings", "set", "max_hops=20", "smtp_out_port=0")
        assert refused.status == 1 and "smtp_out_port" in refused.err
        assert Settings.load().max_hops == before.max_hops
        assert manage("settings", "set", "max_hops=20", "max-hops=30").status == 1
        assert manage("settings", "set", "max_hops=20", "colour=blue").status == 1
        assert manage("settings", "set", "max_hops=20", "trash_days").status == 2
        assert Settings.load().max_hops == before.max_hops

    def test_a_value_may_have_an_equals_sign(self, manage: Manage) -> None:
        assert manage("settings", "set", "postmaster", "a=b@example.org").status == 0
        assert manage("settings", "set", "postmaster=c=d@example.org").status == 0
        assert Settings.load().postmaster == "c=d@example.org"

    @pytest.mark.parametrize(("word", "value"), [("on", True), ("No", False), ("TRUE", True), ("0", False)])
    def test_what_is_on_or_off_is_said_by_any_usual_word(self, manage: Manage, word: str, value: bool) -> None:
        assert manage("settings", "set", "private_hosts", word).status == 0
        assert Settings.load().private_hosts is value

    def test_what_is_neither_on_nor_off_is_refused(self, manage: Manage) -> None:
        refused = manage("settings", "set", "private_hosts", "perhaps")
        assert (refused.status, refused.err.strip()) == (1, "private_hosts: perhaps is neither on nor off.")

    def test_what_is_none_of_a_few_words_is_refused_with_the_words(self, manage: Manage) -> None:
        refused = manage("settings", "set", "mta_sts_mode", "on")
        assert (refused.status, refused.err.strip()) == (
            1,
            "mta_sts_mode: on is none of: '' (None), testing (Testing: others report what would fail),"
            " enforce (Enforce).",
        )
        assert manage("settings", "set", "mta_sts_mode", "").status == 0

    def test_what_is_not_there_or_not_understood(self, manage: Manage) -> None:
        unknown = manage("settings", "get", "colour")
        assert (unknown.status, unknown.err.strip()) == (1, "There is no setting colour; `settings list` shows all.")
        assert manage("settings", "set", "id", "5").status == 1
        assert manage("settings", "set", "max_hops").status == 2
        assert manage("settings").status == 2


@pytest.mark.django_db
class TestForm:
    @pytest.fixture
    def row(self, client: Client) -> Settings:
        client.force_login(User.objects.create_superuser("admin@localhost"))
        return Settings.load()

    @pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
    def test_a_wrong_value_is_answered_at_its_field(
        self, client: Client, row: Settings, name: str, value: str, sentence: str
    ) -> None:
        page = page_with(row, name)
        form = client.get(page).context["form"]
        fields = {key: "" if initial is None else initial for key, initial in form.initial.items()}
        answer = client.post(page, {**fields, name: value})
        assert answer.status_code == 200
        errors = answer.context["form"].errors
        text = " ".join(message for messages in errors.values() for message in messages)
        # The form has its own words for what is not a number or not a choice.
        sentences = [*sentence.split("|"), "Enter a whole number", "not one of the available choices"]
        assert any(part in text for part in sentences), text
        assert getattr(Settings.load(), name) == getattr(Settings(), name)

    def test_every_setting_is_on_one_page(self, client: Client, row: Settings) -> None:
        names = [name for page in pages_of(row) for name in client.get(page).context["form"].fields]
        assert sorted(names) == sorted({field.name for field in Settings._meta.fields} - {"id"})


@pytest.mark.django_db
class TestCertificate:
    def row(self, certificate: Path, key: Path) -> Settings:
        row = Settings.load()
        row.tls_certificate, row.tls_key = str(certificate), str(key)
        return row

    @pytest.fixture
    def good(self, home: Home) -> Path:
        server_context(Settings.load())
        return home.keys / "self-signed.pem"

    def test_one_that_can_be_used_is_taken(self, good: Path) -> None:
        self.row(good, good).full_clean()

    def test_one_that_can_not_is_refused_with_its_reason(self, good: Path, tmp_path: Path) -> None:
        for certificate, key, sentence in (
            (tmp_path / "none.pem", good, "none.pem can't be read: No such file or directory."),
            (Path(__file__), good, "They are not a certificate chain and its key"),
            (Path("cert.pem"), good, "cert.pem is not an absolute path."),
        ):
            with pytest.raises(ValidationError, match=sentence):
                self.row(certificate, key).full_clean()


@pytest.mark.django_db
def test_what_a_process_remembers_is_a_second_old_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("base.short_cache.time.monotonic", lambda: now[0])
    assert current().max_hops == 50
    Settings.objects.update(max_hops=60)
    now[0] += 1.0
    assert current().max_hops == 60


@given(st.text())
def test_any_text_is_retry_intervals_or_refused(text: str) -> None:
    try:
        intervals = parse_retry_intervals(text)
    except ValidationError as error:
        assert all(error.messages)
    else:
        assert intervals
        assert all(timedelta(0) <= interval <= timedelta(days=7) for interval in intervals)


@given(st.lists(st.integers(1, 10_080), min_size=1), st.sampled_from([" ", ",", ", ", "\n"]))
def test_written_retry_intervals_are_read_back(minutes: list[int], separator: str) -> None:
    text = separator.join(map(str, minutes))
    assert parse_retry_intervals(text) == tuple(timedelta(minutes=one) for one in minutes)
