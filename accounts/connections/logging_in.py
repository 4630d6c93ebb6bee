"""What is noted when somebody logs in by the web: for the list of sessions, and for the list of recent logins."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts import login_history
from accounts.connections import web
from accounts.models import User
from accounts.sign_in import session


def web_login(sender: object, request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    """Receiver of Django's user_logged_in. An administrator who takes a user's place is not a login of that user."""
    if request is None or not hasattr(request, "session"):
        return
    now, ip, agent = timezone.now(), web.client_ip(request), web.agent_of(request)
    request.session[web.ORIGIN_KEY] = {
        "ip": ip,
        "agent": agent,
        "since": now.isoformat(),
        "id": str(uuid.uuid4()),
    }
    if not getattr(request, "is_impersonating", False):
        session.note_proof(request.session, now)
        pending = login_history.Pending()
        pending.note(user.pk, web.PROTOCOL, ip, now, agent)
        login_history.write(pending.take())
