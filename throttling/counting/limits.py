"""The limits of a subject, as they are now."""

from __future__ import annotations

from accounts import directory
from accounts.directory import LocalList, LocalUser
from accounts.models import HourlyLimit, Metric
from throttling.models import ThrottleSettings
from throttling.subjects import Subject, SubjectKind


def of(subject: Subject) -> tuple[HourlyLimit, ...]:
    """From the caches of this process; none for what is not there."""
    if subject.kind is SubjectKind.IP:
        return ThrottleSettings.current().ip_limits
    if subject.kind is SubjectKind.DOMAIN:
        domain = directory.local_domain(subject.name)
        return domain.hourly_limits if domain is not None else ()
    found = directory.lookup(subject.name)
    return found.hourly_limits if isinstance(found, LocalUser | LocalList) else ()


def limit_of(subject: Subject, metric: Metric) -> HourlyLimit | None:
    """One of them."""
    return next((limit for limit in of(subject) if limit.metric is metric), None)


def any_at_all() -> bool:
    """Whether anybody has a limit: where nobody has, nothing needs to be looked at."""
    # Both are asked, so that both are known afterwards.
    of_clients, of_others = bool(ThrottleSettings.current().ip_limits), directory.any_hourly_limits()
    return of_clients or of_others
