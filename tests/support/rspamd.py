"""A real Rspamd with its own rules, without a network beyond loopback, Redis, or a controller."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.ports import free_port

# They ask services of others, or need Redis.
_OFF = (
    "antivirus", "arc", "asn", "clickhouse", "dcc", "dmarc", "elastic", "external_services", "fuzzy_check", "greylist",
    "history_redis", "hfilter", "metadata_exporter", "mx_check", "neural", "p0f", "phishing", "ratelimit", "rbl",
    "replies", "reputation", "spf", "dkim", "dkim_signing", "surbl", "url_redirector", "multimap", "milter_headers",
    "metric_exporter", "bayes_expiry", "known_senders", "aws_s3", "bimi", "http_headers", "maillist", "mid",
    "spamassassin", "spamtrap", "trie", "whitelist", "force_actions",
)  # fmt: skip
_CONFIG = """
.include "$CONFDIR/common.conf"
options {{
    pidfile = "{folder}/rspamd.pid";
    dns {{ timeout = 0.1s; retransmits = 1; nameserver = "127.0.0.1:1"; }}
    filters = "regexp";
    tempdir = "{folder}";
    url_tld = "/usr/share/rspamd/effective_tld_names.dat";
    history_file = "{folder}/history";
}}
logging {{ type = "console"; level = "warning"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; task_timeout = 5s; }}
{modules}
"""


class Rspamd:
    """One instance in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailspool-rspamd-"))
        self.folder.chmod(0o777)
        self.port = free_port()
        user = ["-u", "_rspamd", "-g", "_rspamd"] if os.geteuid() == 0 else ["-i"]
        self.daemon = Daemon(
            "rspamd",
            [
                "rspamd", "-f", *user, "-c", str(self.folder / "rspamd.conf"), "--var", f"DBDIR={self.folder}",
                "--var", f"RUNDIR={self.folder}", "--var", f"LOGDIR={self.folder}",
            ],
            self.folder / "output.log",
        )  # fmt: skip

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        modules = "\n".join(f"{name} {{ enabled = false; }}" for name in _OFF)
        (self.folder / "rspamd.conf").write_text(_CONFIG.format(folder=self.folder, port=self.port, modules=modules))
        self.daemon.start(self._answers, seconds=90)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.address}/ping", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.daemon.stop(10)
        shutil.rmtree(self.folder, ignore_errors=True)
