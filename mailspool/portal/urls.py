"""The addresses of the user site, below `/me/`."""

from django.urls import path

from mailspool.portal import acting, activity, defaults, domain, own, senders, throttled

app_name = "portal"
urlpatterns = [
    path("", own.home, name="home"),
    path("login/", own.SignIn.as_view(), name="login"),
    path("logout/", own.SignOut.as_view(), name="logout"),
    path("settings/", own.own_settings, name="settings"),
    path("forwarding/", own.forwarding, name="forwarding"),
    path("spam/", own.spam, name="spam"),
    path("password/", own.password, name="password"),
    path("mail/", activity.mail, name="mail"),
    path("mail/recall/", activity.recall, name="recall"),
    path("connections/", activity.shown, name="connections"),
    path("connections/drop/", activity.drop, name="drop"),
    path("domain/defaults/", defaults.shown, name="defaults"),
    path("domain/senders/", senders.search, name="senders"),
    path("domain/act/<str:kind>/<str:name>/<int:pk>/", acting.act, name="act"),
    path("domain/throttled/", throttled.listed, name="throttled"),
    path("domain/throttled/<str:verb>/<int:pk>/", throttled.act, name="throttled_act"),
]
for _kind in domain.KINDS:
    _with = {"kind": _kind}
    urlpatterns += [
        path(f"domain/{_kind}/", domain.listed, _with, name=_kind),
        path(f"domain/{_kind}/add/", domain.edited, _with, name=f"add_{_kind}"),
        path(f"domain/{_kind}/<int:pk>/", domain.edited, _with, name=f"edit_{_kind}"),
        path(f"domain/{_kind}/<int:pk>/remove/", domain.removed, _with, name=f"remove_{_kind}"),
    ]
