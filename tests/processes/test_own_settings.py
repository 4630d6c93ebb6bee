"""MAILSPOOL_SETTINGS and MAILSPOOL_PLUGINS: what is appended there works, and what is wrong there is a sentence."""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mailspool.environment import own_settings
from mailspool.environment.reader import WrongEnvironment
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.support.waiting import wait_until

PROJECT = Path(__file__).resolve().parents[2]


def refused(files: Path | None, plugins: Path | None = None) -> str:
    with pytest.raises(WrongEnvironment) as wrong:
        own_settings.apply({"INSTALLED_APPS": ["spool"], "SPOOL_STAGES": ["last"]}, files, plugins)
    return str(wrong.value)


def the_page_s_example(folder: Path, archive: Path) -> tuple[Path, Path]:
    """The files of docs/configuration.md: the settings and the folder of plug-ins."""
    page = (PROJECT / "docs" / "configuration.md").read_text()
    block = re.search(r"^    # /etc/mailspool/settings\.py.*?(?=^\S)", page, re.DOTALL | re.MULTILINE)
    assert block is not None
    first, _, second = textwrap.dedent(block.group()).partition("# /etc/mailspool/plugins/archive.py")
    settings, plugins = folder / "settings.py", folder / "plugins"
    plugins.mkdir(mode=0o755)
    settings.write_text(first)
    (plugins / "archive.py").write_text("#" + second.replace("/var/lib/mailspool/archive.txt", str(archive)))
    return settings, plugins


@pytest.mark.long
def test_the_page_s_stage_works_in_a_real_installation(tmp_path: Path, durable_postgres: PostgresServer | None) -> None:
    archive = tmp_path / "archive.txt"
    settings, plugins = the_page_s_example(tmp_path, archive)
    url = durable_postgres.create_database("own_settings") if durable_postgres else ""
    own = {"MAILSPOOL_SETTINGS": str(settings), "MAILSPOOL_PLUGINS": str(plugins)}
    with MailspoolUnderTest(tmp_path / "installation", database_url=url, env=own) as mailspool:
        # prepare looks at what settings name, and refuses what can't be loaded.
        env = {**mailspool.env, "REDIS_URL": mailspool.redis.url}
        prepared = subprocess.run(
            [sys.executable, "-m", "mailspool.prepare"], cwd=PROJECT, env=env, capture_output=True, text=True
        )
        assert prepared.returncode == 0, prepared.stderr
        mailspool.add_domain("example.org", "ann")
        with smtplib.SMTP("127.0.0.1", mailspool.smtp_port, timeout=20) as client:
            client.sendmail("bob@elsewhere.test", ["ann@example.org"], "Subject: hello\r\n\r\nHello.\r\n")
        wait_until(lambda: mailspool.maildir("ann@example.org"), "delivered", 30)

    assert archive.read_text().endswith(".eml bob@elsewhere.test\n")


def test_the_files_of_a_folder_are_run_in_order_with_the_settings_as_variables(tmp_path: Path) -> None:
    (tmp_path / "20.py").write_text("SPOOL_STAGES.insert(0, 'second'); OTHER = OTHER + 1")
    (tmp_path / "10.py").write_text("SPOOL_STAGES.insert(0, 'first'); OTHER = 1")
    (tmp_path / "notes.txt").write_text("no Python")
    settings = {"INSTALLED_APPS": [], "SPOOL_STAGES": ["last"]}

    own_settings.apply(settings, tmp_path, None)

    assert settings["SPOOL_STAGES"] == ["second", "first", "last"]
    assert settings["OTHER"] == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A = 1\nSPOOL_STAGES.insert(-1 'x')\n", "line 2: SyntaxError:"),
        ("A = 1\n\nSPOOL_STAGE.insert(-1, 'x')\n", "line 3: NameError: name 'SPOOL_STAGE' is not defined"),
        ("import no_such_module\n", "line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import json\njson.loads('{')\n", "line 2: JSONDecodeError:"),
        ("INSTALLED_APPS.append('no_such_app.apps.Config')\n", "INSTALLED_APPS names no_such_app.apps.Config"),
    ],
)
def test_what_is_wrong_in_the_file_is_a_sentence_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "settings.py"
    file.write_text(text)

    assert f"{file}" in refused(file) and sentence in refused(file)


def test_what_others_may_write_is_refused(tmp_path: Path) -> None:
    file, plugins = tmp_path / "settings.py", tmp_path / "plugins"
    file.touch()
    plugins.mkdir()
    file.chmod(0o664)
    assert f"others may write {file}" in refused(file)
    file.chmod(0o644)
    plugins.chmod(0o777)
    assert f"others may write {plugins}" in refused(None, plugins)
    tmp_path.chmod(0o777)
    assert f"others may write in {tmp_path}, and replace {file}" in refused(file)
    tmp_path.chmod(0o1777)
    own_settings.apply({"INSTALLED_APPS": []}, file, None)
    if os.geteuid() == 0:
        os.chown(file, 65534, -1)
        assert f"{file} is another user's" in refused(file)


def test_what_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "settings.py")
    (tmp_path / "plugins.py").touch()
    assert "it must be a folder" in refused(None, tmp_path / "plugins.py")


@pytest.mark.sqlite
@pytest.mark.long
def test_a_program_ends_with_the_sentence_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text("SPOOL_STAGES.insert(-1, 'no.such.Stage')\n")
    env = {"MAILSPOOL_HOME": str(tmp_path / "home"), "MAILSPOOL_SETTINGS": str(file)}

    def run(*program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *program], cwd=PROJECT, env=env, capture_output=True, text=True)

    prepared = run("-m", "mailspool.prepare")
    assert prepared.returncode == 1
    assert "SPOOL_STAGES names no.such.Stage, which can't be loaded: No module named 'no'." in prepared.stderr
    assert "Traceback" not in prepared.stderr
    file.write_text("SPOOL_STAGES.insert(-1\n")
    listed = run("manage.py", "spool", "list")
    assert listed.returncode == 78
    assert f"{file}, line 1: SyntaxError" in listed.stderr and "Traceback" not in listed.stderr
