"""Calling a webhook: a signed JSON document, to hosts of the Internet only (base.outgoing_http).

The receiver checks X-Mailspool-Signature: the HMAC-SHA256, under the rule's secret, of X-Mailspool-Timestamp, a dot and
the body.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from django.conf import settings as django_settings

from base import outgoing_http
from base.outgoing_http import NotDelivered, NotPublic
from spool.models.alert import webhook_complaint

__all__ = ["NotDelivered", "post", "signature"]


def post(url: str, document: dict[str, Any], secret: str, now: datetime) -> str:
    """Send `document`; returns the answer in a few words. Raises NotDelivered."""
    if complaint := webhook_complaint(url):
        raise NotDelivered(complaint)
    body = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
    stamp = str(int(now.timestamp()))
    headers = {"Content-Type": "application/json", "X-Mailspool-Timestamp": stamp}
    if secret:
        headers["X-Mailspool-Signature"] = signature(secret, stamp, body)
    try:
        return outgoing_http.post(url, body, headers, django_settings.MAILSPOOL_WEBHOOK_NETWORKS)
    except NotPublic as error:
        raise NotDelivered(
            f"{error}; networks that webhooks may reach all the same are named in MAILSPOOL_WEBHOOK_NETWORKS"
        ) from error


def signature(secret: str, stamp: str, body: bytes) -> str:
    """What the receiver computes too."""
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"
