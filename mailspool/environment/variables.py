"""Every variable, once: its name, kind, default and meaning."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from base.buckets import Bucket
from mailspool.environment import kinds
from spool.sockets.addresses import Place

T = TypeVar("T")
PREFIX = "MAILSPOOL_"


@dataclass(frozen=True, slots=True)
class Variable(Generic[T]):
    """One variable. `default_words` and `meaning` are what docs/configuration.md says of it, in Markdown.

    The value of a `secret` one is never shown.
    """

    name: str
    kind: Callable[[str], T]
    default: T
    default_words: str
    meaning: str
    secret: bool = False


HOME: Variable[Path | None] = Variable(
    "MAILSPOOL_HOME",
    kinds.folder,
    None,
    "`var/` in the checkout",
    "all state: database, spool, drop folder, Maildirs, keys, Redis's data",
)
DATABASE: Variable[dict[str, Any] | None] = Variable(
    "DATABASE_URL",
    kinds.database,
    None,
    "SQLite in the home",
    "`postgres://user:password@host/name`; by socket `postgres://user@/name?host=/run/postgresql`",
    secret=True,
)
REDIS = Variable(
    "REDIS_URL",
    kinds.redis,
    "",
    "a server in the home, without TCP port",
    "`unix:///path?db=0`, `redis://:password@host:6379/0`, `rediss://…`, `redis+sentinel://…` "
    "([machines.md](machines.md#high-availability)): only for Mailspool "
    "([why](#redis-is-as-trusted-as-the-program))",
    secret=True,
)
HOSTNAME = Variable(
    "MAILSPOOL_HOSTNAME",
    kinds.domain,
    "",
    "the machine's name",
    "in `EHLO`, `Received` and bounces; other servers want it to have an address",
)
MACHINE = Variable(
    "MAILSPOOL_MACHINE",
    kinds.domain,
    "",
    "the machine's name",
    "what this machine is called on the page Machines, in alerts and in `/readyz`: "
    "give the same to containers that are one machine",
)
BIND: Variable[tuple[str, ...]] = Variable(
    "MAILSPOOL_BIND",
    kinds.listening_hosts,
    ("127.0.0.1",),
    "`127.0.0.1`",
    "where SMTP and the console listen: addresses with commas between them; `*` or `::` for every address, `0.0.0.0` "
    "for every IPv4 address",
)
SMTP_PORT: Variable[tuple[Place, ...]] = Variable(
    "MAILSPOOL_SMTP_PORT",
    kinds.listening_places,
    (Place(2525),),
    "2525",
    "mail from other servers (25 on the Internet); more in [Where it listens](#where-it-listens)",
)
SUBMISSION_PORT: Variable[tuple[Place, ...]] = Variable(
    "MAILSPOOL_SUBMISSION_PORT", kinds.listening_places, (Place(2587),), "2587", "mail from users, STARTTLS (587)"
)
SMTPS_PORT: Variable[tuple[Place, ...]] = Variable(
    "MAILSPOOL_SMTPS_PORT",
    kinds.listening_places,
    (Place(2465),),
    "2465",
    "mail from users, TLS from the first byte (465)",
)
WEB_PORT: Variable[tuple[Place, ...]] = Variable(
    "MAILSPOOL_WEB_PORT",
    kinds.console_places,
    (Place(8000),),
    "8000",
    "the console; `127.0.0.1:8000` behind a proxy on the same machine",
)
WORKERS = Variable(
    "MAILSPOOL_WORKERS",
    kinds.number(1, 1000, "how many workers there are"),
    os.cpu_count() or 1,
    "number of cores",
    "delivery workers; also what the limits on connections are divided by",
)
SMTPD_PROCESSES = Variable(
    "MAILSPOOL_SMTPD_PROCESSES",
    kinds.number(1, 1000, "how many listeners there are"),
    1,
    "1",
    "listeners that share the ports under `make run`",
)
INLINE_KB = Variable(
    "MAILSPOOL_INLINE_KB",
    kinds.number(0, 1000, "a size in KB"),
    64,
    "64",
    "messages up to this size, in KB, are kept in the database until they have to wait for something, and have no file"
    " before; 0 for a file for each",
)
STORE = Variable(
    "MAILSPOOL_STORE",
    kinds.store,
    "files",
    "`files`",
    "where messages are that wait: in `files` of the spool, or in the `database` (PostgreSQL), which any machine reads "
    "([machines.md](machines.md))",
)
S3: Variable[Bucket | None] = Variable(
    "MAILSPOOL_S3",
    kinds.bucket,
    None,
    "none",
    "with `MAILSPOOL_STORE=database`: a bucket for large messages, `https://s3.internal:9000/BUCKET/PREFIX`, or "
    "`s3://BUCKET/PREFIX` of Amazon's ([machines.md](machines.md#large-messages-in-an-s3-compatible-store))",
    # Somebody may write the key into it.
    secret=True,
)
S3_KB = Variable(
    "MAILSPOOL_S3_KB",
    kinds.number(0, 1_000_000, "a size in KB"),
    1024,
    "1024",
    "messages from this size on, in KB, go there (at least 256); 0 has all that are there come back into the database",
)
S3_REGION = Variable("MAILSPOOL_S3_REGION", kinds.text, "us-east-1", "`us-east-1`", "its region")
S3_KEY = Variable(
    "MAILSPOOL_S3_KEY",
    kinds.text,
    "",
    "as `AWS_ACCESS_KEY_ID`",
    "access key of who may read, write, list and delete there; without it, what Amazon's own variables or machine say",
    secret=True,
)
S3_SECRET = Variable("MAILSPOOL_S3_SECRET", kinds.text, "", "as above", "the secret key to it", secret=True)
DNS = Variable("MAILSPOOL_DNS", kinds.server, "", "the system's", "`host:port` of a resolver, for tests and split DNS")
TRUST_DNS = Variable(
    "MAILSPOOL_TRUST_DNS",
    kinds.yes_or_no,
    False,
    "no",
    "`yes` when the way to a resolver on another machine is safe: what it calls validated (DNSSEC) is believed then, "
    "for DANE, as it is from one on this machine",
)
DOVEADM_URL = Variable(
    "MAILSPOOL_DOVEADM_URL",
    kinds.web_address,
    "",
    "none",
    "where a Dovecot answers doveadm's HTTP API, as `http://127.0.0.1:8080`: its connections are listed and dropped "
    "too",
)
DOVEADM_KEY = Variable("MAILSPOOL_DOVEADM_KEY", kinds.text, "", "none", "its `doveadm_api_key`", secret=True)
ADMIN_EMAIL = Variable(
    "MAILSPOOL_ADMIN_EMAIL",
    kinds.address,
    "admin@localhost",
    "`admin@localhost`",
    "login of the first administrator, made when there is none",
)
ADMIN_PASSWORD = Variable(
    "MAILSPOOL_ADMIN_PASSWORD",
    kinds.text,
    "",
    "made up",
    "its password; a made-up one is shown on a terminal, or stands in `keys/first-password` until the first login",
    secret=True,
)
SECRET_KEY = Variable(
    "MAILSPOOL_SECRET_KEY",
    kinds.text,
    "",
    "made once, in the home",
    "signs sessions; give the same to every web process of a cluster",
    secret=True,
)
ALLOWED_HOSTS: Variable[list[str]] = Variable(
    "MAILSPOOL_ALLOWED_HOSTS",
    kinds.several(kinds.host),
    [],
    "none",
    "more names by which the console is reached, with commas, besides the host name, the bind address and localhost",
)
HTTPS = Variable(
    "MAILSPOOL_HTTPS",
    kinds.yes_or_no,
    False,
    "no",
    "`yes` behind an HTTPS proxy that sets `X-Forwarded-Proto`: secure cookies, HSTS, no plain HTTP",
)
PROXIES: Variable[list[str]] = Variable(
    "MAILSPOOL_PROXIES",
    kinds.several(kinds.network),
    [],
    "none",
    "networks of proxies before the console, with commas: whose `X-Forwarded-For` says who the client is",
)
TRUSTED_ORIGINS: Variable[list[str]] = Variable(
    "MAILSPOOL_TRUSTED_ORIGINS",
    kinds.several(kinds.origin),
    [],
    "none",
    "origins that may post forms, as `https://mail.example.org`",
)
METRICS_TOKEN = Variable(
    "MAILSPOOL_METRICS_TOKEN",
    kinds.text,
    "",
    "none",
    "lets a Prometheus on another machine read `/metrics`",
    secret=True,
)
GEOIP_DATABASE: Variable[Path | None] = Variable(
    "MAILSPOOL_GEOIP_DATABASE",
    kinds.path,
    None,
    "none",
    "path of a database of countries by IP address (`.mmdb`), for the anomaly guard and the incident page",
)
WEBHOOK_NETWORKS: Variable[list[str]] = Variable(
    "MAILSPOOL_WEBHOOK_NETWORKS",
    kinds.several(kinds.network),
    [],
    "none",
    "networks inside, as `10.1.0.0/16`, that webhooks of alerts may reach, by http too",
)
LOG = Variable(
    "MAILSPOOL_LOG",
    kinds.log_place,
    "stderr",
    "`stderr`",
    "where the mail log goes: `stderr`, `syslog`, `syslog:/path/of/its/socket`, `file:/path/of/a/file`, `none` "
    "([log.md](log.md))",
)
LOG_FORMAT = Variable(
    "MAILSPOOL_LOG_FORMAT",
    kinds.log_form,
    "text",
    "`text`",
    "`text` (`key=value`) or `json`, of the mail log and of what programs say",
)
LOG_LEVEL = Variable(
    "MAILSPOOL_LOG_LEVEL",
    kinds.one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    "INFO",
    "`INFO`",
    "of what programs say: `DEBUG`, `INFO`, `WARNING`, `ERROR`",
)
SETTINGS: Variable[Path | None] = Variable(
    "MAILSPOOL_SETTINGS",
    kinds.path,
    None,
    "none",
    "a file of your own, or a folder of them, that appends to the settings ([Extending](#extending))",
)
PLUGINS: Variable[Path | None] = Variable(
    "MAILSPOOL_PLUGINS", kinds.path, None, "none", "a folder with the Python modules that they name"
)
DEBUG = Variable(
    "MAILSPOOL_DEBUG",
    kinds.yes_or_no,
    False,
    "no",
    "error pages with source code: never where others can see them",
)
TIME_ZONE = Variable("TZ", kinds.time_zone, "UTC", "`UTC`", "time zone of the console")

# In the order of docs/configuration.md.
VARIABLES: tuple[Variable[Any], ...] = (
    HOME,
    DATABASE,
    REDIS,
    HOSTNAME,
    MACHINE,
    BIND,
    SMTP_PORT,
    SUBMISSION_PORT,
    SMTPS_PORT,
    WEB_PORT,
    WORKERS,
    SMTPD_PROCESSES,
    INLINE_KB,
    STORE,
    S3,
    S3_KB,
    S3_REGION,
    S3_KEY,
    S3_SECRET,
    DNS,
    TRUST_DNS,
    DOVEADM_URL,
    DOVEADM_KEY,
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    SECRET_KEY,
    ALLOWED_HOSTS,
    HTTPS,
    PROXIES,
    TRUSTED_ORIGINS,
    METRICS_TOKEN,
    GEOIP_DATABASE,
    WEBHOOK_NETWORKS,
    LOG,
    LOG_FORMAT,
    LOG_LEVEL,
    SETTINGS,
    PLUGINS,
    DEBUG,
    TIME_ZONE,
)
