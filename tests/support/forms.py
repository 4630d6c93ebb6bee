"""What the forms of the console send for fields that a test is not about."""

# Of users, lists, domains and their templates: no limit by the hour.
UNLIMITED: dict[str, object] = {
    "messages_per_hour": 0, "messages_action": "delay", "bandwidth_mb_per_hour": 0, "bandwidth_action": "delay",
    "recipients_per_hour": 0, "recipients_action": "delay",
}  # fmt: skip
