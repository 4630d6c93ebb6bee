"""What the checks said of a message while it came in, kept for the spam stage, so that none of them is asked twice.

In Redis, for it can be found out again: when it is lost, or too old, the stage asks the checks.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from base import redis_client
from quarantine.spam.score import Findings

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 600
_PREFIX: Final = "mailspool:verdict:"


def keep(file_name: str, findings: Findings) -> None:
    """Keep them for the message that will have this name. Without Redis nothing is kept."""
    try:
        redis_client.redis().set(f"{_PREFIX}{file_name}", json.dumps(findings.as_json()), ex=KEPT_SECONDS)
    except RedisError as error:
        log.warning("what the checks said is not kept: %s", error)


def take(file_names: Sequence[str]) -> dict[str, Findings]:
    """What was kept for these messages, which is dropped. One round trip."""
    if not file_names:
        return {}
    keys = [f"{_PREFIX}{name}" for name in file_names]
    try:
        with redis_client.redis().pipeline(transaction=False) as pipeline:
            pipeline.mget(keys)
            pipeline.delete(*keys)
            kept, _ = pipeline.execute()
    except RedisError as error:
        log.warning("what the checks have said can't be read, they are asked again: %s", error)
        return {}
    found = zip(file_names, kept, strict=True)
    return {name: Findings.from_json(json.loads(text)) for name, text in found if text is not None}
