"""Alerts in the console: the rules, a test of each, and what happened."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from unfold.decorators import action
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from accounts.admin.searching import ModelAdmin
from accounts.templatetags.reach import opens
from base import stored_texts
from base.sealed import seal
from base.time_elements import relative
from spool.admin.readonly import ReadOnlyAdmin
from spool.alerts import outbox
from spool.alerts.response import measured
from spool.alerts.watches import watch_of
from spool.console.pages import actor_of, page
from spool.models import AlertEvent, AlertRule


class AlertRuleForm(forms.ModelForm):
    """A rule; the secret can be set, not read."""

    secret = forms.CharField(
        label=_lazy("Signing secret"),
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_lazy("Leave empty to keep the one there is; a new webhook gets one, which is shown once."),
    )

    class Meta:
        model = AlertRule
        fields = [
            "name",
            "enabled",
            "kind",
            "threshold",
            "minutes",
            "at_least",
            "ends_below",
            "mail_to",
            "webhook_url",
            "secret",
        ]
        help_texts = {
            "threshold": _lazy(
                "Messages for a sender and for the spool, percent for bounces, disks and quarantines, "
                "times for the guard, days for the certificate, files for the drop folder; for all else minutes."
            )
        }
        widgets = {"mail_to": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    # Of a webhook that had none.
    made_secret = ""

    def save(self, commit: bool = True) -> AlertRule:
        secret = self.cleaned_data["secret"]
        if not secret and self.instance.webhook_url and not self.instance.sealed_secret:
            secret = self.made_secret = secrets.token_urlsafe(32)
        if secret:
            self.instance.sealed_secret = seal(secret)
        rule: AlertRule = super().save(commit)
        return rule


@admin.register(AlertRule)
class AlertRuleAdmin(ModelAdmin):
    form = AlertRuleForm
    list_display = ["name", "kind", "limit", "tells", "enabled"]
    list_filter = ["kind", "enabled"]
    actions_detail = ["to_test"]
    empty_title = _lazy("No rules yet")
    empty_text = _lazy(
        "A rule watches one number: a sender's messages, the depth of the spool, its oldest message, the rate of "
        "bounces, a scanner's silence, the size of a quarantine, a full disk, a dead program. When it is over the "
        "threshold, people are told by mail and programs by a webhook."
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.test)
        return [path("<int:pk>/test/", view, name="spool_alertrule_test"), *super().get_urls()]

    def notes(self, form: AlertRuleForm) -> list[str]:
        said = _("The signing secret of the webhook, shown this once: %(secret)s") % {"secret": form.made_secret}
        return [said] if form.made_secret else []

    @action(description=_lazy("Test…"), icon="send", url_path="to-test")
    def to_test(self, request: HttpRequest, object_id: int) -> HttpResponseRedirect:
        return redirect("admin:spool_alertrule_test", object_id)

    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Whom a test would tell; after POST, what came of it."""
        rule = get_object_or_404(AlertRule, pk=pk)
        notices = outbox.test(rule, timezone.now(), actor_of(request)) if request.method == "POST" else None
        back = reverse("admin:spool_alertrule_change", args=[pk])
        context = {"rule": rule, "notices": notices, "back": back}
        return page(request, "spool/alerts/test.html", (_("Test of %(rule)s") % {"rule": rule}), context)

    @admin.display(description=_lazy("Threshold"))
    def limit(self, rule: AlertRule) -> str:
        watch = watch_of(rule.kind)
        return f"{watch.amount(rule.threshold)}{watch.within(rule) if watch.has_minutes else ''}"

    @admin.display(description=_lazy("Tells"))
    def tells(self, rule: AlertRule) -> str:
        return ", ".join([*rule.addresses, *(["webhook"] if rule.webhook_url else [])]) or _("nobody: history only")


@admin.register(AlertEvent)
class AlertEventAdmin(ReadOnlyAdmin):
    """The history, newest first."""

    list_display = ["since", "rule_name", "about", "state", "measured", "told"]
    list_filter = ["kind", "is_test"]
    list_display_links = None
    ordering = ["-began", "-id"]
    empty_title = _lazy("No alerts yet")
    empty_text = _lazy(
        "What the rules find appears here: when it began, how far it went, who was told, and when it was over."
    )

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Whom alerts tell is for whom the rules are."""
        shown = super().get_list_display(request)
        return shown if opens(request, "admin:spool_alertrule_changelist") else [one for one in shown if one != "told"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertEvent]:
        return super().get_queryset(request).prefetch_related("notices")

    @admin.display(description=_lazy("Began"), ordering="began")
    def since(self, event: AlertEvent) -> SafeString | str:
        return relative(event.began)

    @admin.display(description=_lazy("About"))
    def about(self, event: AlertEvent) -> SafeString:
        words, link = watch_of(event.kind).says(event.key), outbox.page_of(event)
        return format_html('<a href="{}" class="text-primary-600 dark:text-primary-500">{}</a>', link, words)

    @admin.display(description=_lazy("State"))
    def state(self, event: AlertEvent) -> SafeString:
        if event.is_test:
            return _label("quiet", _("Test"))
        if event.ended:
            return format_html(_("Over since {}"), relative(event.ended))
        return _label("waiting", _("Acknowledged")) if event.acknowledged else _label("bad", _("Active"))

    @admin.display(description=_lazy("Measured"))
    def measured(self, event: AlertEvent) -> str:
        return measured(event)

    @admin.display(description=_lazy("Told"))
    def told(self, event: AlertEvent) -> str:
        notices: Any = event.notices.all()
        said = [f"{n.target} ({n.get_says_display()}): {stored_texts.said(n.outcome) or _('waits')}" for n in notices]
        return "; ".join(said) or _("nobody")


def _label(tone: str, words: str) -> SafeString:
    return format_html('<span class="ms-label tone-{}">{}</span>', tone, words)
