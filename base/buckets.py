"""Where a bucket of a store that speaks S3 is. Needs no Django that is set up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Smaller messages are in memory until they are committed (spool.smtpd.verbs.reader).
LEAST_KB: Final = 256


@dataclass(frozen=True, slots=True)
class Bucket:
    """`endpoint` is a URL, "" for Amazon's own; objects are below `prefix`."""

    endpoint: str
    name: str
    prefix: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.endpoint or "s3:/", self.name, self.prefix) if part)
