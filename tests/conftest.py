"""What every test may use. The run's home is made by tests.plugin, which must be loaded first."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from mailspool.home import Home
from tests.support import emptying
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

try:
    from tests import plugin
except ImportError as error:  # pragma: no cover
    raise pytest.UsageError("run the tests from the project's folder: python -m pytest") from error


# A machine that is busy is no fault of an example's; and what a short run finds it is to find again. The long one looks
# for what nobody has seen.
hypothesis_settings.register_profile(
    "mailspool",
    deadline=None,
    derandomize=not os.environ.get("MAILSPOOL_LONG"),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("mailspool")

# What no database has a part of its own in: a short run sees it on SQLite, but for what is marked `both`; and so with
# every test that asks no database at all.
ALIKE = frozenset(
    {
        "bench",
        "console",
        "crash",
        "deploy",
        "dns_records",
        "docs",
        "doors",
        "fuzz",
        "inspection",
        "interop",
        "privileges",
        "processes",
        "sign_in",
    }
)


# By which a test comes to a database: in its own process, or in that of an installation.
_OF_DATABASES = frozenset({"db", "transactional_db", "django_db_setup", "live_server", "durable_postgres"})


def _is_alike(item: pytest.Item) -> bool:
    if any(item.iter_markers("both")) or any(item.iter_markers("postgresql")):
        return False
    folder = item.path.relative_to(item.config.rootpath).parts[1]
    return folder in ALIKE or not _asks_a_database(item)


def _asks_a_database(item: pytest.Item) -> bool:
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return any(item.iter_markers("django_db")) or not _OF_DATABASES.isdisjoint(fixtures)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the other database, and in a short run what takes long, or has been seen on SQLite when
    this is PostgreSQL: that is no skip.

    Browser tests come last: Playwright's event loop goes on in the thread of the tests, and a pass needs its own.
    """
    on_sqlite = django_settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
    unwanted = {"postgresql" if on_sqlite else "sqlite"}
    is_short = not os.environ.get("MAILSPOOL_LONG")
    if is_short:
        unwanted |= {"long"} if on_sqlite else {"long", "alike"}
    left_out = [item for item in items if unwanted & {marker.name for marker in item.iter_markers()}]
    if is_short and not on_sqlite:
        gone = set(left_out)
        left_out += [item for item in items if item not in gone and _is_alike(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
    items.sort(key=lambda item: "browser" in item.path.parts)


def pytest_configure(config: pytest.Config) -> None:
    if django_settings.HOME.root != plugin.HOME:
        raise pytest.UsageError("the tests need a home of their own: python -m pytest -p tests.plugin")
    django_settings.PASSWORD_HASHERS = ["tests.support.hashing.QuickArgon2", *django_settings.PASSWORD_HASHERS[1:]]
    database: dict[str, Any] = django_settings.DATABASES["default"]
    if "init_command" in database.get("OPTIONS", {}):
        # Nobody cuts this process off, and a sync at each commit is a good part of a test.
        database["OPTIONS"]["init_command"] = database["OPTIONS"]["init_command"].replace("=FULL", "=OFF")
    TransactionTestCase._fixture_teardown = emptying.empty_database  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """On SQLite the test database is a file: threads and child processes share it, as in production."""
    database: dict[str, Any] = django_settings.DATABASES["default"]
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["TEST"]["NAME"] = str(plugin.HOME / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    emptying.keep_content_types()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The embedded server on the home's socket, where the queues look for it. Started when a test first asks."""
    server = RedisServer(django_settings.HOME.redis, django_settings.HOME.redis_socket)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[PostgresServer | None]:
    """A PostgreSQL that syncs and may be killed, when the run is on PostgreSQL; None when it is on SQLite."""
    if django_settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
        yield None
        return
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """The embedded server, empty."""
    with redis_server.client() as client:
        client.flushall()
    yield redis_server


@pytest.fixture
def home() -> Home:
    """The run's home with nothing in its spool, drop folder and Maildirs."""
    from spool.files import marks

    home: Home = django_settings.HOME
    for folder in (
        home.spool,
        home.drop,
        home.maildirs,
        home.root / "trash",
        home.root / "moved",
        home.root / "quarantine",
        home.root / "lost+found",
    ):
        shutil.rmtree(folder, ignore_errors=True)
    home.create()
    # The keys stay; but the mark of an installation whose database was emptied is another's.
    (home.keys / marks.FILE).unlink(missing_ok=True)
    return home


@pytest.fixture(autouse=True)
def _forget_what_was_cached() -> None:
    """What a process remembers for a second must not reach the next test."""
    from accounts import directory
    from base import clock
    from base.one_row import OneRow
    from mailspool.attention import items as attention
    from quarantine.models.check import forget_checks
    from quarantine.models.listed import forget_listed
    from security import hidden, lists, login_protection
    from spool.delivery import sources
    from spool.delivery.shaping import domains, encryption, limits, rules, warm_up
    from spool.files import marks
    from spool.flow import intake
    from spool.models import settings as spool_settings

    # Nobody has prepared the home of the tests.
    marks.forget(unmarked=True)
    clock.forget()
    lists.look_again()
    login_protection.forget_noted()
    spool_settings.forget()
    hidden.forget()
    directory.forget()
    OneRow.forget()
    forget_checks()
    forget_listed()
    limits.forget_cache()
    rules.forget()
    sources.forget()
    warm_up.forget()
    domains.forget_known()
    encryption.forget_told()
    intake._shares.forget()
    attention.look_again()


class _StoppedClock:
    """Of the module `time`, what a short cache asks: it is always the same moment."""

    def __init__(self) -> None:
        self._now = time.monotonic()

    def monotonic(self) -> float:
        return self._now


@pytest.fixture
def _what_is_kept_stays_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries are counted as if no time went by: whether a second is over is the machine's doing, not the page's."""
    monkeypatch.setattr("base.short_cache.time", _StoppedClock())


@pytest.fixture
def django_assert_num_queries(_what_is_kept_stays_kept: None, django_assert_num_queries: Any) -> Any:
    """pytest-django's, in a test whose short caches keep what they have."""
    return _with_settings(django_assert_num_queries)


@pytest.fixture
def django_assert_max_num_queries(_what_is_kept_stays_kept: None, django_assert_max_num_queries: Any) -> Any:
    """pytest-django's, in a test whose short caches keep what they have."""
    return _with_settings(django_assert_max_num_queries)


def _with_settings(counting: Callable[..., Any]) -> Callable[..., Any]:
    """Every page asks for them, for its language: they are there, and kept, as they are at every page but the first."""

    from spool.models.settings import current

    def begin(*arguments: Any, **options: Any) -> Any:
        current()
        return counting(*arguments, **options)

    return begin


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """What a thread of the log writes a moment later belongs to the test that it is about."""
    for handler in logging.getLogger().handlers:
        handler.flush()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """In CI every part is there: a test that is skipped is one that nobody runs."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI must not: {report.longrepr[2]}"
    return report
