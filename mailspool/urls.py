"""URLs: the Overview and the admin site at `/admin/`, the user site at `/me/`, metrics beside them.

/healthz is answered by health.Probes, and so are /readyz and /metrics for who has no session.
"""

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.impersonation import Acquire, Release
from accounts.models import User
from mailspool.attention.urls import urls as attention_urls
from mailspool.destinations.urls import urls as destination_urls
from mailspool.dns_records.urls import urls as dns_urls
from mailspool.ended_session import session, signed_in
from mailspool.first_run.urls import urls as first_run_urls
from mailspool.health import readyz
from mailspool.incident.urls import urls as incident_urls
from mailspool.jobs.urls import urls as jobs_urls
from mailspool.machines.urls import urls as machine_urls
from mailspool.mail_reports.urls import urls as report_urls
from mailspool.menus.urls import urls as menu_urls
from mailspool.metrics import metrics
from mailspool.overview.urls import urls as overview_urls
from mailspool.portal.sign_in.login import SignIn
from mailspool.search.urls import urls as search_urls
from mailspool.setting_pages.urls import urls as settings_urls
from mailspool.unsubscribing.urls import urls as unsubscribing_urls
from quarantine.console.listed_views import listed_urls
from quarantine.console.release_views import release_urls

# Here, so that only processes that know the URLs load the pages (mailspool.apps).
admin.autodiscover()


def front(request: HttpRequest) -> HttpResponse:
    """To the console, or for who is logged in and no administrator to the user site."""
    is_user = isinstance(request.user, User) and not request.user.is_staff
    return redirect("portal:home" if is_user else "admin:index")


def nothing(request: HttpRequest, **where: object) -> HttpResponse:
    """For the admin's "view on site": none of our rows is a page of a site, and some that it asks for have no table."""
    raise Http404


handler403 = "mailspool.error_pages.forbidden"
handler404 = "mailspool.error_pages.missing"
handler500 = "mailspool.error_pages.failed"

urlpatterns = [
    path("", front),
    path("admin/r/<path:content_type_id>/<path:object_id>/", nothing),
    *overview_urls(),
    *attention_urls(),
    *incident_urls(),
    *destination_urls(),
    *first_run_urls(),
    *jobs_urls(),
    *machine_urls(),
    *dns_urls(),
    *report_urls(),
    *menu_urls(),
    *search_urls(),
    *settings_urls(),
    *release_urls(),
    *listed_urls(),
    # One page for the own password: it counts wrong ones, ends other sessions and writes down that it was changed.
    path("admin/password_change/", admin.site.admin_view(RedirectView.as_view(pattern_name="portal:password"))),
    # Where the audit was before accounts and lists wrote into it.
    path(
        "admin/spool/auditevent/",
        admin.site.admin_view(RedirectView.as_view(pattern_name="admin:audit_auditevent_changelist")),
    ),
    # One login for the console and the user site.
    path("admin/login/", SignIn.as_view()),
    path("admin/", admin.site.urls),
    path("me/", include("mailspool.portal.urls")),
    path(
        "hijack/",
        include(
            (
                [
                    path("begin/", Acquire.as_view(), name="acquire"),
                    path("end/", Release.as_view(), name="release"),
                ],
                "hijack",
            )
        ),
    ),
    *unsubscribing_urls(),
    path("session/", session, name="session"),
    path("session/signed-in/", signed_in, name="signed_in"),
    path("metrics", metrics),
    path("readyz", readyz),
]
