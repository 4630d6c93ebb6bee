"""What domains and users have chosen for their spam goes before the server's choice, each for their own mail."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes

import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions, directory, history
from accounts.models import Domain, Role, User
from accounts.models.spam import SpamAction, Wishes
from quarantine.models import AntispamSettings, CheckKind
from quarantine.spam.disposition import action_for, choices_of
from quarantine.spam.score import Level
from spool.console.message import traces_of
from spool.models import Entry, Trace, Trashed
from tests.quarantine.spamming import a_check, a_mail, from_outside, junk
from tests.spool.passing import ANN, HERE, Spool
from tests.support.commands import manage_with
from tests.support.smtp_peer import SmtpPeer

pytestmark = pytest.mark.django_db(transaction=True)
BOB, CLEO, DAN = f"bob@{HERE}", f"cleo@{HERE}", f"dan@{HERE}"


def a_user(email: str, **fields: object) -> User:
    user = User(email=email, domain=Domain.objects.get(name=HERE), **fields)
    user.set_unusable_password()
    user.save()
    return user


def chosen(address: str, **fields: str) -> None:
    row = actions.get_user(address) if "@" in address else actions.get_domain(address)
    actions.change(row, **fields)


@pytest.fixture
def spammy(spool: Spool) -> Spool:
    """Each message with Lunch as its subject has 25 points: of the level medium, which goes to Junk."""
    a_check(CheckKind.HEADER, 25, where="Subject", pattern="Lunch", name="rule")
    for address in (BOB, CLEO, DAN):
        a_user(address)
    return spool


@pytest.mark.parametrize(
    ("choices", "action"),
    [
        ((), "junk"),
        ((Wishes(), Wishes()), "junk"),
        ((Wishes(medium="delete"), Wishes(medium="none")), "delete"),
        ((Wishes(), Wishes(medium="none")), "none"),
        ((Wishes(low="delete", high="delete"), Wishes()), "junk"),
        ((Wishes(filter="off", medium="delete"), Wishes()), "none"),
        ((Wishes(medium="delete"), Wishes(filter="off")), "none"),
        ((Wishes(filter="on"), Wishes(filter="off", medium="headers")), "headers"),
    ],
)
def test_the_user_is_heard_before_the_domain_and_both_before_the_server(
    choices: tuple[Wishes, ...], action: str
) -> None:
    assert action_for(Level.MEDIUM, AntispamSettings(), choices) == SpamAction(action)
    assert action_for(Level.NONE, AntispamSettings(), choices) is SpamAction.NONE


def test_each_recipient_of_one_message_gets_it_as_chosen(spammy: Spool) -> None:
    chosen(HERE, spam_medium="headers")
    chosen(BOB, spam_filter="off")
    chosen(CLEO, spam_medium="junk")
    chosen(DAN, spam_medium="delete")
    name = from_outside(spammy, a_mail(), to=[ANN, BOB, CLEO, DAN])
    spammy.work()
    [ann], [bob] = spammy.mailbox(ANN), spammy.mailbox(BOB)
    assert (ann["Subject"], ann["X-Spam-Flag"]) == ("[Spam] Lunch", "YES")
    # What is known of it is still told; nothing is done about it.
    assert (bob["Subject"], bob["X-Spam-Flag"], bob["X-Spam-Score"]) == ("Lunch", None, "25")
    [cleo] = [message_from_bytes(raw) for raw in junk(CLEO)]
    assert cleo["Subject"] == "[Spam] Lunch" and not spammy.mailbox(CLEO)
    assert not spammy.mailbox(DAN) and not junk(DAN)
    outcomes = {trace.recipient: (trace.outcome, trace.reply) for trace in traces_of(name)}
    assert outcomes[DAN] == ("removed", "Deleted as spam: 25 points: rule 25")
    assert {outcomes[address][0] for address in (ANN, BOB, CLEO)} == {"delivered"}
    assert not Entry.objects.exists() and not Trashed.objects.exists()


def test_what_nobody_wants_is_deleted_so_that_it_can_be_put_back(spammy: Spool) -> None:
    for address in (ANN, BOB):
        chosen(address, spam_medium="delete")
    from_outside(spammy, a_mail(), to=[ANN, BOB])
    spammy.work()
    assert Trashed.objects.count() == 1 and not Entry.objects.exists()


def test_a_recipient_who_had_it_deleted_is_not_asked_again_while_another_waits(spammy: Spool) -> None:
    chosen(BOB, spam_medium="delete")
    with SmtpPeer(lmtp=True) as store:
        store.rcpt[ANN] = "451 4.2.0 later"
        spammy.settings(local_store="lmtp", lmtp_address=f"127.0.0.1:{store.port}")
        name = from_outside(spammy, a_mail(), to=[ANN, BOB])
        spammy.work()
        assert Trace.objects.get(file_name=name).recipient == BOB and Entry.objects.count() == 1
        del store.rcpt[ANN]
        spammy.later(hours=1)
        spammy.work()
        assert len(store.taken) == 1
    assert sorted(Trace.objects.values_list("recipient", "outcome")) == [(ANN, "delivered"), (BOB, "removed")]


def test_by_lmtp_each_recipient_gets_the_header_that_fits_the_choice(spammy: Spool) -> None:
    chosen(BOB, spam_filter="off")
    with SmtpPeer(lmtp=True) as store:
        spammy.settings(local_store="lmtp", lmtp_address=f"127.0.0.1:{store.port}")
        from_outside(spammy, a_mail(), to=[ANN, BOB, CLEO])
        spammy.work()
        flagged = {taken.recipients[0]: b"X-Spam-Flag: YES" in taken.content for taken in store.taken}
    assert flagged == {ANN: True, BOB: False, CLEO: True}


def test_the_server_may_say_that_nobody_chooses(spammy: Spool, setting: Callable[..., None]) -> None:
    setting(AntispamSettings, users_choose=False, domains_choose=False)
    chosen(HERE, spam_filter="off")
    chosen(ANN, spam_medium="delete")
    from_outside(spammy, a_mail())
    spammy.work()
    assert len(junk(ANN)) == 1


def test_choices_cost_no_query_beyond_those_that_delivery_asks(
    spammy: Spool, django_assert_num_queries: Callable[..., object]
) -> None:
    chosen(ANN, spam_medium="delete")
    addresses = [ANN, BOB, CLEO, DAN, f"nobody@{HERE}"]
    directory.lookup_many(addresses)
    with django_assert_num_queries(0):
        found = choices_of(addresses, AntispamSettings())
    assert [one.medium for one in found[ANN]] == ["delete", ""] and [one.medium for one in found[BOB]] == ["", ""]


def browser(email: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_users_choose_for_themselves_in_the_user_site(spammy: Spool) -> None:
    client = browser(ANN)
    shown = client.get(reverse("portal:spam")).content.decode()
    assert "Deliver it into the Junk folder" in shown
    answer = client.post(reverse("portal:spam"), {"spam_filter": "", "spam_low": "none", "spam_medium": "delete"})
    assert answer.status_code == 302
    ann = User.objects.get(email=ANN)
    assert (ann.spam_filter, ann.spam_low, ann.spam_medium, ann.spam_high) == ("", "none", "delete", "")
    assert history.of_user(ann).get().outcome == (
        "Spam, low: Use the default → Deliver it as it is; spam, medium: Use the default → Delete it"
    )
    refused = client.post(reverse("portal:spam"), {"spam_medium": "burn"})
    assert "burn is not one of the available choices" in refused.content.decode()


def test_administrators_choose_for_domains_and_domain_administrators_for_their_users(spammy: Spool) -> None:
    a_user("root@here.test", role=Role.SYSTEM_ADMINISTRATOR)
    a_user("chief@here.test", role=Role.DOMAIN_ADMINISTRATOR)
    bob = User.objects.get(email=BOB)
    page = browser("root@here.test").get(reverse("admin:accounts_domain_change", args=[bob.domain_id]))
    assert "Spam that comes in" in page.content.decode()
    page = browser("root@here.test").get(reverse("admin:accounts_user_change", args=[bob.pk]))
    assert "Spam that comes in" in page.content.decode()
    chief = browser("chief@here.test")
    form = chief.get(reverse("portal:edit_users", args=[bob.pk])).context["form"]
    values = {name: form.initial.get(name) if form.initial.get(name) is not None else "" for name in form.fields}
    answer = chief.post(reverse("portal:edit_users", args=[bob.pk]), {**values, "spam_high": "delete"})
    assert answer.status_code == 302, answer.content.decode()
    assert User.objects.get(email=BOB).spam_high == "delete"


def test_the_command_sets_shows_and_takes_back_a_choice(
    spammy: Spool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    manage = manage_with(capsys, monkeypatch, "accounts")
    assert manage("account", "user", "set", ANN, "--spam-filter", "off", "--spam-high", "delete").status == 0
    shown = manage("account", "user", "show", ANN, "--json").json[0]
    assert (shown["spam_filter"], shown["spam_high"], shown["spam_low"]) == ("off", "delete", "inherit")
    assert manage("account", "user", "set", ANN, "--spam-filter", "inherit").status == 0
    assert User.objects.get(email=ANN).spam_filter == ""
    assert manage("account", "domain", "set", HERE, "--spam-medium", "headers").status == 0
    assert Domain.objects.get(name=HERE).spam_medium == "headers"
    wrong = manage("account", "domain", "set", HERE, "--spam-medium", "burn")
    assert wrong.status == 2 and "is none of none, headers, junk, delete, inherit" in wrong.err
