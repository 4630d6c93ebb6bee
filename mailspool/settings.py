"""Django settings. The environment says where things run; the console (spool.Settings) how mail is handled."""

import os
import socket
from pathlib import Path
from typing import Any

from django.templatetags.static import static

from base import languages, redis_url
from mailspool import VERSION
from mailspool.environment import hosts, listeners, own_settings, reader
from mailspool.environment import variables as v
from mailspool.home import Home
from mailspool.logs import logging_configuration

env = reader.read(os.environ)

BASE_DIR = Path(__file__).resolve().parent.parent
# Without a choice it is the checkout's own, from whatever folder a command is run.
HOME = Home((env[v.HOME] or BASE_DIR / "var").absolute())

SECRET_KEY = env[v.SECRET_KEY] or HOME.secret_key()
DEBUG = env[v.DEBUG]
# Where each listener listens, by its name (spool.sockets.listeners).
MAILSPOOL_LISTEN = listeners.addresses_of(env)
MAILSPOOL_HOSTNAME = env[v.HOSTNAME] or socket.getfqdn()
MAILSPOOL_WORKERS = env[v.WORKERS]
MAILSPOOL_SMTPD_PROCESSES = env[v.SMTPD_PROCESSES]
MAILSPOOL_INLINE_KB = env[v.INLINE_KB]
MAILSPOOL_STORE = env[v.STORE]
# The bucket for large messages (spool.files.bucket.Bucket), or None.
MAILSPOOL_S3 = env[v.S3]
MAILSPOOL_S3_KB = env[v.S3_KB]
MAILSPOOL_S3_REGION = env[v.S3_REGION]
MAILSPOOL_S3_KEY = env[v.S3_KEY]
MAILSPOOL_S3_SECRET = env[v.S3_SECRET]
MAILSPOOL_DNS = env[v.DNS]
MAILSPOOL_TRUST_DNS = env[v.TRUST_DNS]
# Where a Dovecot that keeps our users' mail answers doveadm's HTTP API, as http://127.0.0.1:8080, and its key.
MAILSPOOL_DOVEADM_URL = env[v.DOVEADM_URL]
MAILSPOOL_DOVEADM_KEY = env[v.DOVEADM_KEY]
MAILSPOOL_ADMIN_EMAIL = env[v.ADMIN_EMAIL]
MAILSPOOL_ADMIN_PASSWORD = env[v.ADMIN_PASSWORD]
ALLOWED_HOSTS = hosts.allowed(
    MAILSPOOL_HOSTNAME, [place.host for place in MAILSPOOL_LISTEN["web"]], env[v.ALLOWED_HOSTS]
)
# Whether the console is reached by https, through a proxy that sets X-Forwarded-Proto and removes a client's own.
MAILSPOOL_HTTPS = env[v.HTTPS]
# Networks of the proxies whose X-Forwarded-For says who the client is.
MAILSPOOL_PROXIES = env[v.PROXIES]
MAILSPOOL_MACHINE = env[v.MACHINE]
# What programs say that they are.
MAILSPOOL_VERSION = VERSION
MAILSPOOL_METRICS_TOKEN = env[v.METRICS_TOKEN]
# Networks that webhooks of alerts may reach although they are not the Internet's.
MAILSPOOL_WEBHOOK_NETWORKS = env[v.WEBHOOK_NETWORKS]
# A database of countries by IP address, in MaxMind's format; without one the guard goes by networks alone.
MAILSPOOL_GEOIP_DATABASE = str(env[v.GEOIP_DATABASE] or "")
CSRF_TRUSTED_ORIGINS = env[v.TRUSTED_ORIGINS]

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "mailspool.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_rq",
    "hijack",
    "base.audit",
    "accounts",
    "spool",
    "security",
    "throttling",
    "quarantine",
    "mailspool.apps.FaceConfig",
]

MIDDLEWARE = [
    "mailspool.health.Probes",
    "mailspool.null_characters.NullCharacters",
    "mailspool.dns_records.policy.OwnPolicy",
    "mailspool.proxies.ClientAddress",
    "mailspool.person_zone.PersonZone",
    "mailspool.origin.RequestOrigin",
    "security.middleware.Blacklist",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # What is secret in a page is masked anew for each answer (the CSRF token), and the length of each is blurred.
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mailspool.person_language.PersonLanguage",
    "mailspool.ended_session.EndedSession",
    "accounts.impersonation.StillAllowed",
    "mailspool.portal.sign_in.gate.SecondFactorGate",
    "mailspool.console_gate.ConsoleGate",
    "mailspool.proof_gate.ProofGate",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "mailspool.content_policy.ContentPolicy",
    # Last: it turns a login that came too often into the page that says so.
    "security.web_login.ClosedLoginPage",
]

ROOT_URLCONF = "mailspool.urls"
WSGI_APPLICATION = "mailspool.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "mailspool" / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["django.template.loaders.filesystem.Loader", "mailspool.unfold_templates.Loader"],
                )
            ],
            # Every page asks what of it is for whom.
            "builtins": ["accounts.templatetags.reach"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(HOME.database)}
DATABASES: dict[str, dict[str, Any]] = {"default": dict(env[v.DATABASE] or _SQLITE)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA cache_size=-32000;"
            "PRAGMA wal_autocheckpoint=4000;PRAGMA temp_store=MEMORY;"
        ),
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # No process may wait for a server that is gone without a word, nor for a lock of one whose client is. What
    # DATABASE_URL says of these itself (…?connect_timeout=20) comes first.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 10,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        # The server's end too: a transaction whose client is gone must not keep its locks.
        "options": "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s -c tcp_keepalives_idle=5"
        " -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000",
        **DATABASES["default"].get("OPTIONS", {}),
    }

REDIS_URL = env[v.REDIS]
REDIS_IS_EMBEDDED = not REDIS_URL
RQ_CONNECTION = {"URL": REDIS_URL or f"unix://{HOME.redis_socket}?db=0", "DEFAULT_TIMEOUT": 600}
RQ_QUEUES = dict.fromkeys(("mail", "maintenance"), redis_url.queue(RQ_CONNECTION))
RQ = {"COMMIT_MODE": "auto", "WORKER_CLASS": "spool.worker.PassWorker"}
# The page of jobs is our own (mailspool.jobs).
RQ_SHOW_ADMIN_LINK = False

AUTH_USER_MODEL = "accounts.User"
# The first hashes; the others check what was hashed on another server, until its owner logs in.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "accounts.passwords.hashers.Bcrypt",
    "accounts.passwords.hashers.Sha512Crypt",
    "accounts.passwords.hashers.Sha256Crypt",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# The first refuses, before a password is looked at. From how many wrong ones on, the console says (LoginRules).
AUTHENTICATION_BACKENDS = [
    "security.web_login.LoginProtection",
    "django.contrib.auth.backends.ModelBackend",
    "accounts.impersonation.ImpersonationBackend",
]
HIJACK_PERMISSION_CHECK = "accounts.impersonation.may_impersonate"

LANGUAGE_CODE = languages.SOURCE
LANGUAGES = languages.OFFERED
# Both are looked through; what console pages alone say is apart, so that a language can be whole without them.
LOCALE_PATHS = [BASE_DIR / "mailspool" / "locale" / part for part in ("people", "console")]
TIME_ZONE = env[v.TIME_ZONE]
USE_TZ = True
FORMAT_MODULE_PATH = ["mailspool.formats"]

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "mailspool" / "static"]
# Served from copies in the home (mailspool.static_files), and from the packages themselves where there is none.
STATIC_ROOT = HOME.static
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # In the home, where only its owner looks.
    "staticfiles": {
        "BACKEND": "mailspool.static_files.Storage",
        "OPTIONS": {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
}
WHITENOISE_USE_FINDERS = True
# The packages' own files have the plain names already.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
CSRF_FAILURE_VIEW = "mailspool.error_pages.out_of_date"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_ENGINE = "accounts.connections.web"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
if MAILSPOOL_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^metrics$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    # Whether other hosts below this name speak https, and browsers should ship that, is not for a mail server to say.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

# Extension points: dotted paths, run in this order. A third party adds its own with one line.
SPOOL_SMTP_CHECKS = [
    "security.checks.BlacklistCheck",
    "security.checks.SMTPBlockCheck",
    "security.checks.LoginProtectionCheck",
    "throttling.checks.RejectThrottled",
    "spool.smtpd.suppressed.SuppressionCheck",
    "quarantine.checks.Greylisting",
    "quarantine.checks.RejectSpam",
]
# With what links in mail begin.
SPOOL_CONSOLE_URL = "quarantine.models.antispam.console_url"
# Who may send anywhere without a login, besides users.
SPOOL_TRUSTED_CLIENTS = "security.lists.trusts"
# What is called once an hour, with the time, to forget what is too old.
SPOOL_HOUSEKEEPING = [
    "spool.places.objects.doom_ended",
    "spool.delivery.shaping.warm_up.forget_old",
    "spool.signing.lifecycle.tidy",
    "spool.suppression.tidy",
    "spool.delivery.shaping.limits.forget_lapsed",
    "spool.delivery.remote.rests.forget_old",
    "spool.delivery.shaping.domains.forget_old",
    "spool.delivery.shaping.encryption.forget_old",
    "mailspool.dns_records.looking.tidy",
    "spool.tls_reports.sending.tidy",
    "mailspool.mail_reports.reading.tidy",
    "accounts.history.forget",
    "security.housekeeping.forget",
]
SPOOL_STAGES = [
    "spool.stages.DeliveryDelay",
    "quarantine.stages.VirusCheck",
    "quarantine.stages.SpamCheck",
    "throttling.stages.HoldThrottled",
    "spool.stages.Delivery",
]
# Functions without arguments, called every few seconds by the scheduler.
SPOOL_SWEEPS = [
    "spool.signing.publishing.sweep",
    "spool.signing.lifecycle.sweep",
    "throttling.tasks.sweep",
    "spool.places.objects.sweep",
    "quarantine.alerts.renew_sizes",
    "quarantine.release_requests.sweep",
    "mailspool.dns_records.looking.sweep",
    "spool.tls_reports.sending.sweep",
    "mailspool.mail_reports.reading.sweep",
]
# The same of what each machine has for itself.
SPOOL_SWEEPS_HERE = ["mailspool.backup.keeping.sweep"]
# What the rules of alerts can watch.
SPOOL_ALERT_WATCHES = [
    "spool.alerts.watches.Senders",
    "spool.alerts.watches.Depth",
    "spool.alerts.watches.Oldest",
    "spool.alerts.watches.Untaken",
    "spool.alerts.watches.Bounces",
    "spool.alerts.floods.FloodOfUser",
    "spool.alerts.floods.FloodOfSender",
    "spool.alerts.floods.FloodOfIP",
    "spool.alerts.floods.DeferredOfUser",
    "spool.alerts.floods.DeferredOfSender",
    "spool.alerts.floods.GrowingBacklog",
    "spool.alerts.floods.RefusingDestination",
    "spool.alerts.destinations.RefusedAddress",
    "spool.alerts.sources.MissingSource",
    "spool.alerts.machine.FullDisk",
    "spool.alerts.machine.MissingFolder",
    "spool.alerts.machine.SetAside",
    "spool.alerts.machine.DeadProgram",
    "spool.alerts.machine.MissedMachine",
    "spool.alerts.machine.LongDrain",
    "spool.alerts.machine.RedisAway",
    "spool.alerts.machine.BucketAway",
    "spool.alerts.machine.DatabaseAway",
    "spool.alerts.machine.ExpiringCertificate",
    "quarantine.alerts.SilentEngines",
    "quarantine.alerts.FailingEngines",
    "quarantine.alerts.FullQuarantine",
    "throttling.alerts.ThrottledUsers",
    "throttling.alerts.ThrottledDomains",
    "throttling.alerts.CaughtByGuard",
    "throttling.alerts.SuspectedByGuard",
    "mailspool.dns_records.watch.BrokenRecords",
    "mailspool.mail_reports.watch.FailedTLS",
]
# Where stages keep what they take out of the spool.
SPOOL_HOLDERS = ["quarantine.holding.Quarantine"]
# What looks for viruses, in order; the page Antivirus says which of them are in use.
SPOOL_VIRUS_SCANNERS = ["quarantine.engines.clamd.Clamd", "quarantine.engines.command.CommandLine"]

# What `mailspool check` looks at, in order.
MAILSPOOL_CHECKS = [
    "mailspool.inspection.home.environment_file",
    "mailspool.inspection.home.home",
    "mailspool.inspection.home.open_to_others",
    "mailspool.inspection.program.program",
    "mailspool.inspection.program.plug_ins",
    "mailspool.inspection.program.exposure",
    "mailspool.inspection.database.database",
    "mailspool.inspection.database.tables",
    "mailspool.inspection.home.folders_marked",
    "mailspool.inspection.redis.redis",
    "mailspool.inspection.bucket.bucket",
    "mailspool.inspection.home.disk",
    "mailspool.inspection.home.move_folders",
    "mailspool.inspection.home.country_database",
    "mailspool.inspection.certificate.certificate",
    "mailspool.inspection.routes.routes",
    "mailspool.inspection.ports.ports",
    "mailspool.inspection.clients.clients",
    "mailspool.inspection.names.host_name",
    "mailspool.inspection.names.local_domains",
    "mailspool.inspection.names.sender_policies",
]

# What else happens when an account is contained (accounts.containing.Step).
ACCOUNTS_CONTAIN_STEPS = ["spool.containing.HoldMail"]

# The tabs above the spool's pages, in order; another app appends its own.
SPOOL_CONSOLE_TABS = [
    "mailspool.overview.tabs.OVERVIEW",
    "spool.console.tabs.SPOOL",
    "spool.console.tabs.WAITING",
    "quarantine.console.tabs.SPAM",
    "quarantine.console.tabs.VIRUS",
    "throttling.console.tabs.USERS",
    "throttling.console.tabs.DOMAINS",
    "mailspool.destinations.tabs.DESTINATIONS",
    "spool.console.tabs.BACKLOG",
]

UNFOLD = {
    "SITE_TITLE": "Mailspool",
    "SITE_HEADER": "Mailspool",
    "SITE_SUBHEADER": f"Version {VERSION}",
    "SITE_SYMBOL": "forward_to_inbox",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "sizes": "any",
            "href": lambda request: static("mailspool/favicon.svg"),
        }
    ],
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(67.3% .182 276.935)",
            "500": "oklch(58.5% .233 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        },
    },
    "STYLES": [
        lambda request: static("spool/console.css"),
        lambda request: static("accounts/accounts.css"),
        lambda request: static("mailspool/attention.css"),
        lambda request: static("mailspool/search.css"),
        lambda request: static("mailspool/frame.css"),
    ],
    "SCRIPTS": [
        lambda request: static("mailspool/session.js"),
        lambda request: static("mailspool/attention.js"),
        # The menu of a thing and the dialogs of its actions, wherever one is named.
        lambda request: static("spool/live.js"),
        lambda request: static("spool/popup.js"),
        lambda request: static("spool/menu.js"),
        lambda request: static("mailspool/search.js"),
        lambda request: static("mailspool/times.js"),
        lambda request: static("mailspool/labels.js"),
        lambda request: static("mailspool/shortcuts.js"),
    ],
    "GLOBAL_CALLBACK": "mailspool.page_frame.of_page",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "mailspool.navigation.sidebar"},
}

LOGGING = logging_configuration(env[v.LOG], env[v.LOG_FORMAT], env[v.LOG_LEVEL])

# Last: it may append to all that stands above.
own_settings.apply(globals(), env[v.SETTINGS], env[v.PLUGINS])
