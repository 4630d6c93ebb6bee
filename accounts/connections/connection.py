"""One connection, and which of them are meant. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


class Unreachable(Exception):
    """Those who hold connections can't be asked; the message says who, and what that means."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A client's connection. `since` and `messages` are None where the server that has it does not tell; `seen` is when
    a browser last asked for a page.

    `id` names it to `drop_one`. `user` is empty before a login, `detail` is what the client says of itself; `machine`
    is the name of that which has it, where that is known.
    """

    id: str
    protocol: str
    user: str
    ip: str
    since: datetime | None
    messages: int | None
    detail: str = ""
    seen: datetime | None = None
    machine: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "protocol": self.protocol,
            "user": self.user,
            "ip": self.ip,
            "since": self.since.isoformat() if self.since else None,
            "messages": self.messages,
            "detail": self.detail,
            "machine": self.machine,
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Self:
        since = datetime.fromisoformat(row["since"]) if row["since"] else None
        return cls(
            row["id"],
            row["protocol"],
            row["user"],
            row["ip"],
            since,
            row["messages"],
            row["detail"],
            machine=row.get("machine", ""),
        )


@dataclass(frozen=True, slots=True)
class Match:
    """Connections of any of `users` (addresses in lower case), of users in `domain`, from `ip`, or the one with `id`.

    What is left empty does not choose; a match that chooses by nothing is for every connection. Two that choose must
    both fit. Those of `spared` users are never meant.
    """

    users: frozenset[str] = frozenset()
    domain: str = ""
    ip: str = ""
    id: str = ""
    spared: frozenset[str] = frozenset()

    @property
    def is_for_all(self) -> bool:
        return not (self.users or self.domain or self.ip or self.id)

    def fits(self, *, user: str, ip: str, id: str = "") -> bool:
        return (
            (not self.users or user in self.users)
            and (not self.domain or user.rpartition("@")[2] == self.domain)
            and (not self.ip or ip == self.ip)
            and (not self.id or id == self.id)
            and user not in self.spared
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "users": sorted(self.users),
            "domain": self.domain,
            "ip": self.ip,
            "id": self.id,
            "spared": sorted(self.spared),
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Self:
        return cls(frozenset(row["users"]), row["domain"], row["ip"], row["id"], frozenset(row.get("spared", ())))
