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
            "subspool_size": "When a subspool folder is full, the next one is used.",
            "trace_days": "How long messages that have left can be found in Message trace.",
            "audit_days": "For the Audit page and the history of accounts.",
            "max_local_deliveries": "Of these, to mailboxes on this server.",
            "max_remote_deliveries": "Of these, to other servers.",
            "max_per_destination": "Keeps other servers from being overloaded; routes can have their own limit.",
            "max_message_kb": "Larger messages are refused with 552; domains and users can have a lower limit.",
            "max_errors": "The session is closed after this many refused commands.",
            "max_connections": "Over all ports of a listener; further ones are answered 421.",
            "max_connections_per_ip": "From one address; further ones are answered 421.",
            "max_hops": "A message that has passed this many servers is in a loop and bounces.",
            "source_address": "Local address for outgoing connections. Leave empty for the system default.",
            "connect_timeout_seconds": "Then the next host of the domain is tried.",
            "reply_timeout_seconds": "RFC 5321 4.5.3.2 asks for five minutes, and ten after the message.",
            "local_store": "Where mail for this server's users is stored.",
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
                "description": "Retries, retention and disk space.",
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
                "description": "Concurrency limits.",
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
                "description": "Limits for clients that hand in mail.",
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
                "description": "Delivery to mailboxes here and to other servers.",
                "fields": [
                    "source_address",
                    "smtp_out_port",
                    "tls_policy",
                    "honour_mta_sts",
                    "mta_sts_mode",
                    "dkim_host_signs",
                    "dkim_rotation_days",
                    "private_hosts",
                    "connect_timeout_seconds",
                    "reply_timeout_seconds",
                    "dead_host_seconds",
                    "local_store",
                    "lmtp_address",
                    "postmaster",
                    "language",
                ],
            },
        ),
        (
            "Certificate",
            {
                "description": "The certificate of our own SMTP ports.",
                "fields": [
                    "tls_certificate",
                    "tls_key",
                ],
            },
        ),
    ]
