"""For domain administrators: what others report of their domain."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from mailspool.mail_reports.shown import of_domain
from mailspool.portal.access import Member, domain_administrator, page


@require_GET
@domain_administrator
def shown(request: HttpRequest, who: Member) -> HttpResponse:
    """Who sends in the domain's name, and who could not send to it by TLS."""
    context = of_domain(request, who.domain.name, timezone.now())
    title = _("Mail reports")
    return page(request, who, "portal/reports.html", title, {**context, "domain": who.domain.name})
