"""The addresses of the user site, below `/me/`."""

from django.urls import path

from mailspool.portal import acting, activity, defaults, domain, own, reports, senders, suppressed, throttled
from mailspool.portal.mail import quarantine
from mailspool.portal.mail import senders as listed
from mailspool.portal.mail import views as mail
from mailspool.portal.sign_in import confirmation, login, provider
from mailspool.portal.sign_in import own as sign_in

app_name = "portal"
urlpatterns = [
    path("", own.home, name="home"),
    path("login/", login.SignIn.as_view(), name="login"),
    path("login/passkey/", login.passkey_question, name="login_passkey"),
    path("login/second-factor/", login.second_factor, name="second_factor"),
    path("login/second-factor/passkey/", login.second_factor_question, name="second_factor_passkey"),
    path("login/provider/", provider.begin, name="provider"),
    path("login/provider/back/", provider.back, name="provider_back"),
    path("confirm/", confirmation.confirm, name="confirm"),
    path("confirm/passkey/", confirmation.question, name="confirm_passkey"),
    path("signing-in/", sign_in.shown, name="sign_in"),
    path("signing-in/app/", sign_in.add_app, name="add_app"),
    path("signing-in/passkey/", sign_in.passkey_question, name="passkey_to_add"),
    path("signing-in/passkey/add/", sign_in.add_passkey, name="add_passkey"),
    path("signing-in/factors/<int:pk>/remove/", sign_in.remove_factor, name="remove_factor"),
    path("signing-in/recovery-codes/", sign_in.renew_codes, name="renew_codes"),
    path("signing-in/application-passwords/", sign_in.add_app_password, name="add_app_password"),
    path("signing-in/application-passwords/<int:pk>/end/", sign_in.end_app_password, name="end_app_password"),
    path("signing-in/links/<int:pk>/remove/", sign_in.unlink, name="unlink"),
    path("logout/", own.SignOut.as_view(), name="logout"),
    path("settings/", own.own_settings, name="settings"),
    path("forwarding/", own.forwarding, name="forwarding"),
    path("spam/", own.spam, name="spam"),
    path("senders/", listed.own_senders, name="listed_senders"),
    path("password/", own.password, name="password"),
    path("mail/", activity.mail, name="mail"),
    path("mail/history/", mail.own_outcomes, name="outcomes"),
    path("mail/message/<str:file_name>/", mail.own_message, name="message"),
    path("quarantine/", quarantine.own_list, name="quarantine"),
    path("quarantine/<str:file_name>/", quarantine.own_item, name="quarantine_item"),
    path("domain/quarantine/", quarantine.domain_list, name="domain_quarantine"),
    path("domain/quarantine/<str:file_name>/", quarantine.domain_item, name="domain_quarantine_item"),
    path("domain/trace/", mail.domain_outcomes, name="domain_outcomes"),
    path("domain/trace/<str:file_name>/", mail.domain_message, name="domain_message"),
    path("mail/recall/", activity.recall, name="recall"),
    path("connections/", activity.shown, name="connections"),
    path("connections/drop/", activity.drop, name="drop"),
    path("connections/end/", activity.end, name="end_connection"),
    path("domain/users/<int:pk>/factors/remove/", domain.factors_removed, name="remove_user_factors"),
    path("domain/users/<int:pk>/senders/", listed.user_senders, name="user_senders"),
    path("domain/defaults/", defaults.shown, name="defaults"),
    path("domain/senders/", senders.search, name="senders"),
    path("domain/act/<str:kind>/<str:name>/<int:pk>/", acting.act, name="act"),
    path("domain/suppressed/", suppressed.listed, name="suppressed"),
    path("domain/suppressed/export/", suppressed.export, name="suppressed_export"),
    path("domain/reports/", reports.shown, name="reports"),
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
