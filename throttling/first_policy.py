"""The guard of a new installation: it looks at everybody, and only writes down what it would have done."""

from __future__ import annotations

from throttling.models import GuardPolicy


def make() -> None:
    """A dry run for all domains, unless there is a policy for them. A domain's own policy goes before it."""
    GuardPolicy.objects.get_or_create(domain=None)
