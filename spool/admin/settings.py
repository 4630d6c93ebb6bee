"""The settings in the console: one row, one form."""

from __future__ import annotations

from django import forms
from django.contrib import admin

from accounts.admin.onerow import OneRowAdmin
from spool.models import Settings


class SettingsForm(forms.ModelForm):
    """All settings, with a sentence where the name alone does not say enough."""

    class Meta:
        model = Settings
        fields = "__all__"  # noqa: DJ007 (the page lists them in its fieldsets)
        help_texts = {
            "subspool_size": "Messages are kept in folders of this size; a full one is followed by the next.",
            "trace_days": "How long a message that left can be found in Message trace.",
            "audit_days": "Who did what: the Audit page, and the history of accounts.",
            "max_local_deliveries": "Of these, how many into mailboxes of this server.",
            "max_remote_deliveries": "Of these, how many to other servers.",
            "max_per_destination": "So that no other server sees too many at once; routes can have their own.",
            "max_message_kb": "1024 KB are 1 MB. A larger one is refused with 552; users and domains may have less.",
            "max_errors": "After so many refused commands the session is closed.",
            "max_connections": "At once, over all ports of a listener; more are answered 421.",
            "max_connections_per_ip": "At once, from one address; more are answered 421.",
            "max_hops": "A message that passed so many servers goes round in circles, and is returned.",
            "source_address": "Local address to connect from; empty for the system's choice.",
            "connect_timeout_seconds": "Then the domain's next host is tried.",
            "reply_timeout_seconds": "RFC 5321 4.5.3.2 asks for five minutes, and ten after the message.",
            "local_store": "Where mail for the users of this server goes.",
            "tls_key": "PEM file, without a password.",
        }


@admin.register(Settings)
class SettingsAdmin(OneRowAdmin):
    """The one row. Its list is the form itself."""

    form = SettingsForm
    fieldsets = [
        (
            "Spool",
            {
                "description": "How long messages wait, are tried and remembered.",
                "fields": [
                    "delivery_delay_seconds",
                    "retry_intervals_minutes",
                    "expire_after_hours",
                    "dns_failure_limit",
                    "delay_notice_hours",
                    "subspool_size",
                    "trace_days",
                    "audit_days",
                    "trash_days",
                    "move_roots",
                    "min_free_mb",
                ],
            },
        ),
        (
            "Concurrency",
            {
                "description": "How much is done at once. More is faster.",
                "fields": [
                    "max_deliveries",
                    "max_local_deliveries",
                    "max_remote_deliveries",
                    "max_per_destination",
                ],
            },
        ),
        (
            "SMTP in",
            {
                "description": "What other servers and programs may do when they bring mail.",
                "fields": [
                    "max_message_kb",
                    "max_recipients",
                    "send_as",
                    "max_errors",
                    "max_connections",
                    "max_connections_per_ip",
                    "command_timeout_seconds",
                    "data_timeout_seconds",
                    "max_hops",
                ],
            },
        ),
        (
            "Delivery",
            {
                "description": "How mail leaves: to mailboxes here, and to other servers.",
                "fields": [
                    "source_address",
                    "smtp_out_port",
                    "tls_policy",
                    "honour_mta_sts",
                    "private_hosts",
                    "connect_timeout_seconds",
                    "reply_timeout_seconds",
                    "dead_host_seconds",
                    "local_store",
                    "lmtp_address",
                    "postmaster",
                ],
            },
        ),
        (
            "Certificate",
            {
                "description": "What our own ports show to whoever asks for TLS.",
                "fields": [
                    "tls_certificate",
                    "tls_key",
                ],
            },
        ),
    ]
