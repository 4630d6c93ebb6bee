"""Signs of life: each running program keeps a key in Redis that lapses half a minute after the program's death."""

from __future__ import annotations

from redis import Redis

# kind of program → what its keys begin with; `<host>:<pid>` follows.
PREFIXES = {
    "listeners": "mailspool:smtpd:",
    "workers": "mailspool:worker:mail:",
    "maintenance": "mailspool:worker:maintenance:",
    "scheduler": "mailspool:scheduler:",
}


def alive(client: Redis) -> dict[str, list[str]]:
    """The keys of the programs that are alive, by the names of PREFIXES. Raises RedisError."""
    found: dict[str, list[str]] = {kind: [] for kind in PREFIXES}
    for kind, prefix in PREFIXES.items():
        found[kind] = sorted(key.decode(errors="replace") for key in client.scan_iter(f"{prefix}*", count=1000))
    return found


def forget(client: Redis) -> None:
    """Drop the signs of an earlier run, whose programs are known to be gone: they outlive them. Raises RedisError."""
    for keys in alive(client).values():
        for key in keys:
            client.delete(key)
