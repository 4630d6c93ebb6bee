"""Every page of the console opens for a system administrator, and for nobody else."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts import actions
from accounts.models import DomainDefaults, Role, User, UserDefaults
from mailspool.home import Home
from spool.flow import intake
from spool.models import Settings
from tests.support.editing_pages import page_with
from tests.support.forms import UNLIMITED
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]
PASSWORD = "a-rather-long-secret"


def test_every_list_opens(administrator: Client, home: Home) -> None:
    intake.accept([a_submission()])
    for model in admin.site._registry:
        if model._meta.app_label in ("accounts", "spool"):
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
            assert administrator.get(reverse(name), follow=True).status_code == 200, name


def test_a_wrong_setting_is_refused_with_a_sentence(administrator: Client) -> None:
    url = page_with(Settings.load(), "retry_intervals_minutes")
    form = administrator.get(url).context["form"]
    fields = {name: "" if value is None else value for name, value in form.initial.items()}
    answer = administrator.post(url, {**fields, "retry_intervals_minutes": "soon"})
    assert "is not a number of minutes" in answer.content.decode()
    answer = administrator.post(url, {**fields, "retry_intervals_minutes": "5, 10"})
    assert answer.status_code == 302
    assert Settings.load().retry_intervals_minutes == "5, 10"


def test_a_user_can_be_added_and_the_hash_is_never_shown(administrator: Client) -> None:
    actions.add_domain("example.org")
    domain = actions.get_domain("example.org")
    url = reverse("admin:accounts_user_add")
    answer = administrator.post(
        url,
        {
            "email": "ann@example.org",
            "domain": domain.pk,
            "role": "user",
            "status": "enabled",
            "new_password": PASSWORD,
            "mailbox_mb": 0,
            "max_message_kb": 0,
            "max_recipients": 0,
            **UNLIMITED,
        },
    )
    assert answer.status_code == 302
    user = User.objects.get(email="ann@example.org")
    assert user.check_password(PASSWORD)
    page = administrator.get(reverse("admin:accounts_user_change", args=[user.pk])).content.decode()
    assert "argon2" not in page


def test_an_ordinary_user_does_not_get_in(client: Client) -> None:
    actions.add_domain("example.org")
    client.force_login(actions.add_user("ann@example.org", PASSWORD, role=Role.DOMAIN_ADMINISTRATOR))
    assert client.get(reverse("admin:spool_entry_changelist")).status_code == 302


def test_the_defaults_are_one_row_each(administrator: Client) -> None:
    for model in (DomainDefaults, UserDefaults):
        administrator.get(reverse(f"admin:accounts_{model._meta.model_name}_changelist"))
        assert model.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis", "home")
def test_a_route_whose_password_anybody_could_get_says_so(client: Client) -> None:
    from spool.models import Route

    client.force_login(User.objects.create_user("root@example.org", "correct-horse-battery", role="admin"))
    route = Route.objects.create(domain="*", host="mx.test", tls="encrypt", username="u", verify_for_login=False)
    page = reverse("admin:spool_route_change", args=[route.pk])
    said = "The password for mx.test goes to whoever answers in its place"
    assert said in client.get(page).content.decode()
    Route.objects.update(verify_for_login=True)
    assert said not in client.get(page).content.decode()
