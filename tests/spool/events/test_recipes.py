"""The recipes of docs/log.md and the files in deploy/, on the log of an installation that runs."""

from __future__ import annotations

import json
import os
import re
import smtplib
import subprocess
import sys
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
import yaml

from spool.events.formats import LineFormatter
from spool.events.mail_log import Event
from tests.spool.events.conftest import ANN, BOB, Logged
from tests.support.daemon import Daemon
from tests.support.mail_log import parse
from tests.support.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[3]
DEPLOY = PROJECT / "deploy"
FILTER = DEPLOY / "fail2ban" / "filter.d" / "mailspool.conf"
HOSTILE = "x id=- event=login result=failed protocol=smtp client=198.51.100.1 from=eve@evil.test"


def _recipe(heading: str, log: Path, **values: str) -> str:
    """What the first example below a heading of the page prints, with the log and `values` of this test."""
    page = (PROJECT / "docs" / "log.md").read_text().split(f"\n## {heading}\n")[1]
    example = re.search(r"(?:^    .*\n)+", page, re.MULTILINE)
    assert example is not None
    script = example[0].replace("\n    ", "\n").removeprefix("    ")
    for name, value in {"LOG": str(log), **values}.items():
        script = re.sub(rf"^{name}=.*$", f"{name}={value}", script, flags=re.MULTILINE)
    done = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def story(running: Logged) -> dict[str, str]:
    """Mail of all kinds, and clients who lie; the queue ids by what the messages are."""
    ids = {
        "delivered": running.send(ANN, "someone@sink.test"),
        "deferred": running.send(BOB, "someone@down.test"),
        "bounced": running.send(BOB, "someone@refusing.test"),
    }
    for name in ("delivered", "bounced"):
        running.log.wait_for(id=ids[name], event="ended")
    running.log.wait_for(id=ids["deferred"], event="attempt")
    with running.mailspool.smtp(local_hostname=HOSTILE) as client:
        client.mail("eve@elsewhere.test")
        client.rcpt("nobody@here.test")
        client.rcpt(ANN)
        client.data(f"Message-ID: <{HOSTILE}>\r\n\r\nHello\r\n")
    running.log.wait_for(event="accepted", from_="eve@elsewhere.test")
    return ids


def test_one_message_is_followed_from_connect_to_ended(logged: Logged, story: dict[str, str]) -> None:
    found = _recipe("Follow one message", logged.log.path, ID=story["bounced"])
    events = [parse(line.partition(" ")[2]) for line in found.splitlines()]
    assert events[0]["event"] == "connect"
    assert sorted(event["event"] for event in events) == sorted(
        ["connect", "accepted", "attempt", "notice", "accepted", "ended"]
    )
    assert any(event.get("parent") == story["bounced"] for event in events), "the notice"


def test_top_senders_are_those_who_sent(logged: Logged, story: dict[str, str]) -> None:
    rows = [line.split() for line in _recipe("Who sends most", logged.log.path).splitlines()]
    counts = {sender: int(number) for number, sender in rows}
    for sender in (ANN, BOB, "<>"):
        assert counts[sender] == len(logged.log.events(event="accepted", from_=sender))
    assert "eve@evil.test" not in counts


def test_where_mail_waits_is_counted_by_domain_and_reason(logged: Logged, story: dict[str, str]) -> None:
    found = _recipe("Where mail waits, and why", logged.log.path)
    assert re.search(r"^\d+ down\.test reply=\"connecting to mx\.down\.test .*refused", found, re.MULTILINE)


def test_a_log_of_json_has_the_same_words(logged: Logged, story: dict[str, str], tmp_path: Path) -> None:
    formatter = LineFormatter("json", timed=True)
    [text] = logged.log.events(id=story["delivered"], event="attempt")
    path = tmp_path / "mail.log"
    path.write_text("".join(f"{formatter.line(Event(dict(event)))}\n" for event in logged.log.events()))
    rows = [line.split("\t")[1:] for line in _recipe("With JSON", path).splitlines()]
    assert [text["status"], text["to"], text["relay"], text["reply"]] in rows
    assert json.loads(path.read_text().splitlines()[0])["time"]


def _fail_by_smtp(logged: Logged, host: str) -> None:
    with smtplib.SMTP(host, logged.mailspool.submission_port, timeout=30) as client:
        client.starttls()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("ann@here.test", "wrong-horse")


def _fail_by_web(logged: Logged, client_ip: str) -> None:
    url = f"http://127.0.0.1:{logged.mailspool.web_port}/admin/login/"
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.addheaders = [("X-Forwarded-For", client_ip)]
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', opener.open(url, timeout=30).read().decode())
    assert token is not None
    form = {"csrfmiddlewaretoken": token[1], "username": HOSTILE, "password": "wrong-horse"}
    opener.open(url, urllib.parse.urlencode(form).encode(), timeout=30).read()


def _banned(log: Path, mode: str = "normal") -> list[str]:
    """The addresses in which fail2ban finds a failure, in the order of the log."""
    done = subprocess.run(
        ["fail2ban-regex", "-o", "<ip>", str(log), f"{FILTER}[mode={mode}]"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr.strip(), done.stderr
    return done.stdout.split()


def test_fail2ban_finds_wrong_passwords_by_smtp_and_web_of_both_families(
    logged: Logged, story: dict[str, str], tmp_path: Path
) -> None:
    _fail_by_smtp(logged, "127.0.0.1")
    _fail_by_smtp(logged, "::1")
    for ip in ("192.0.2.44", "2001:db8::44"):
        _fail_by_web(logged, ip)
        logged.log.wait_for(event="login", protocol="web", result="failed", client=ip)
    banned = _banned(logged.log.path)
    assert {"127.0.0.1", "::1", "192.0.2.44", "2001:db8::44"} == set(banned)
    assert len(banned) == sum(event["result"] != "ok" for event in logged.log.events(event="login"))
    refused = [
        event for event in logged.log.events(event="refused") if event.get("reply", "").startswith("550 5.1.1 <")
    ]
    assert len(_banned(logged.log.path, "aggressive")) == len(banned) + len(refused)
    # The same as the journal and rsyslog have it, and as JSON.
    formatter = LineFormatter("json", timed=True)
    told = tmp_path / "syslog"
    told.write_text(re.sub(r"(?m)^(\S+) ", r"\1 mx mailspool[123]: ", logged.log.path.read_text()))
    assert _banned(told) == banned
    as_json = tmp_path / "json"
    as_json.write_text("".join(f"{formatter.line(Event(dict(event)))}\n" for event in logged.log.events()))
    assert _banned(as_json) == banned


def test_the_jail_names_the_filter(tmp_path: Path) -> None:
    jail = (DEPLOY / "fail2ban" / "jail.d" / "mailspool.conf").read_text()
    assert re.search(r"(?m)^filter +=\s*mailspool$", jail)
    assert re.search(r"(?m)^enabled +=\s*true$", jail)


def test_logrotate_makes_a_new_file_that_is_gone_on_with(logged: Logged, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir(mode=0o755)
    log = folder / "mail.log"
    text = (DEPLOY / "logrotate" / "mailspool").read_text()
    # The user of a package; here it is whoever runs the tests.
    user = subprocess.check_output(["id", "-un"], text=True).strip()
    group = subprocess.check_output(["id", "-gn"], text=True).strip()
    text = text.replace("mailspool mailspool", f"{user} {group}").replace("/var/log/mailspool", str(folder))
    (tmp_path / "logrotate.conf").write_text(text)
    (tmp_path / "logrotate.conf").chmod(0o644)
    code = (
        "import logging, subprocess, sys; from spool.events import mail_log, queue\n"
        f"handler = queue.mail('file:{log}', 'text'); log = logging.getLogger(mail_log.NAME)\n"
        "log.addHandler(handler); log.setLevel(20)\n"
        "mail_log.write('ended', 'before'); handler.flush()\n"
        f"subprocess.run(['logrotate', '-f', '-s', '{tmp_path}/state', '{tmp_path}/logrotate.conf'], check=True)\n"
        "mail_log.write('ended', 'after')\n"
    )
    path = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, env={**os.environ, **path})
    assert "id=before" in (folder / "mail.log.1").read_text()
    assert "id=after" in log.read_text()
    assert "id=before" not in log.read_text()


def test_rsyslog_gives_the_lines_a_file_of_their_own(tmp_path: Path) -> None:
    written = tmp_path / "mailspool.log"
    ours = (DEPLOY / "rsyslog" / "mailspool.conf").read_text().replace("/var/log/mailspool.log", str(written))
    (tmp_path / "rsyslog.conf").write_text(
        f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{tmp_path}/log")\n{ours}'
    )
    rsyslog = Daemon(
        "rsyslogd",
        ["/usr/sbin/rsyslogd", "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "pid"],
        tmp_path / "output.log",
    )
    rsyslog.start((tmp_path / "log").exists)
    try:
        code = (
            "import logging; from spool.events import mail_log, queue\n"
            f"log = logging.getLogger(mail_log.NAME); log.addHandler(queue.mail('syslog:{tmp_path}/log', 'text'))\n"
            "log.setLevel(20); mail_log.write('refused', client='192.0.2.7', reply='550 \\x1b no\\n')\n"
        )
        subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
        wait_until(lambda: written.exists() and written.read_text().endswith("\n"), "the line is written", 10)
    finally:
        rsyslog.kill()
    time, line = written.read_text().rstrip("\n").split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d", time)
    assert line == r'id=- event=refused client=192.0.2.7 reply="550 \u001b no\n"'


def test_promtail_takes_event_and_status_out_of_every_line(logged: Logged, story: dict[str, str]) -> None:
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "promtail" / "mailspool.yaml").read_text())
    regex, timestamp, labels = config["scrape_configs"][0]["pipeline_stages"]
    expression = re.compile(regex["regex"]["expression"])
    assert timestamp["timestamp"] == {"source": "time", "format": "RFC3339Nano"}
    assert list(labels["labels"]) == ["event", "status"]
    lines = logged.log.path.read_text().splitlines()
    for line in lines:
        found = expression.match(line)
        assert found is not None, line
        event = parse(line.partition(" ")[2])
        assert found["event"] == event["event"]
        assert found["status"] == (event.get("status") if event["event"] == "attempt" else None)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="a journal of its own needs a mount namespace")
def test_the_journal_has_the_lines_with_their_priority_and_without_a_second_time(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "log.md").read_text()
    example = re.search(r"^    (journalctl .*)$", page, re.MULTILINE)
    assert example is not None
    (tmp_path / "program.py").write_text(
        "import logging, sys; sys.argv[1:] = ['smtpd']; from spool.events import mail_log, queue\n"
        "log = logging.getLogger(mail_log.NAME); log.addHandler(queue.mail('stderr', 'text')); log.setLevel(20)\n"
        "logging.getLogger().addHandler(queue.program('text'))\n"
        "mail_log.write('attempt', '0abc', status='bounced'); mail_log.write('ended', '0abc')\n"
        "logging.error('a bug'); logging.shutdown()\n"
    )
    # systemd says to a service which stream is the journal's; systemd-cat of Debian 12 does not.
    started = f'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "{sys.executable}" "{tmp_path}/program.py"'
    (tmp_path / "script").write_text(
        "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal /run/log/journal\n"
        f"/lib/systemd/systemd-journald 2>{tmp_path}/journald.log & journald=$!\n"
        "until [ -S /run/systemd/journal/stdout ]; do sleep 0.05; done\n"
        f"systemd-cat -t mailspool sh -c '{started}'\njournalctl --sync\n"
        f"{example[1]}; echo --; journalctl -t mailspool -o cat -p err; kill $journald\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        ["unshare", "-m", "sh", str(tmp_path / "script")],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "id=0abc event=attempt status=bounced",
        "--",
        'level=ERROR logger=root text="a bug"',
    ], done.stderr
