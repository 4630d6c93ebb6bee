"""Between the hashes that other servers' files have, `{SCHEME}hash`, and what our column has. Nothing is hashed here.

A hash says itself what checking it costs, so somebody's file could burn a core, or all memory, at each login. What
costs more than the bounds is refused when it comes in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# As many as checking takes about a second on a small server.
MOST_SHA2_ROUNDS = 700_000
MOST_BCRYPT_COST = 14
MOST_ARGON2_KIB = 1024 * 1024
MOST_ARGON2_PASSES = 64
MOST_ARGON2_LANES = 64
# All passes together, in KiB that are written: four times 1 GiB.
MOST_ARGON2_WORK_KIB = 4 * MOST_ARGON2_KIB
LONGEST = 128
LONGEST_PLAIN = 256

# What nobody's password hashes to: the account is there, and nobody logs in to it.
LOCKED = ("", "!", "*", "!!", "!*")

_SCHEMED = re.compile(r"\{([A-Za-z0-9._-]+)\}(.*)", re.DOTALL)
_B64 = "[A-Za-z0-9./]"
_SHA2 = re.compile(rf"\$([56])\$(?:rounds=([1-9]\d{{3,8}})\$)?{_B64}{{0,16}}\$({_B64}+)")
_SHA2_LENGTH = {"5": 43, "6": 86}
_BCRYPT = re.compile(rf"\$2[aby]\$(\d\d)\${_B64}{{53}}")
_ARGON2 = re.compile(
    r"\$argon2(id|i)\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,10})\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{16,86}"
)
_PLAIN = ("PLAIN", "CLEAR", "CLEARTEXT")
_KNOWN = {
    "ARGON2ID": ("$argon2id$",),
    "ARGON2I": ("$argon2i$",),
    "BLF-CRYPT": ("$2",),
    "SHA512-CRYPT": ("$6$",),
    "SHA256-CRYPT": ("$5$",),
    "CRYPT": ("$2", "$5$", "$6$"),
    "": ("$2", "$5$", "$6$", "$argon2id$", "$argon2i$"),
}
_ACCEPTED = "{ARGON2ID}, {ARGON2I}, {BLF-CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {CRYPT} with one of these, {PLAIN}"


class BadHash(ValueError):
    """It can't be taken over; the text says why, and never what the hash or password is."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A value for the password column; with `is_plain` one that is still to be hashed."""

    text: str
    is_plain: bool = False


def read(text: str) -> Stored | None:
    """What a file's `{SCHEME}hash` is for us; None for an account that nobody can log in to. Raises BadHash."""
    if text in LOCKED:
        return None
    match = _SCHEMED.fullmatch(text)
    scheme, value = (match[1].upper(), match[2]) if match else ("", text)
    scheme, _, encoding = scheme.partition(".")
    if scheme in _PLAIN and not encoding:
        if not value or len(value) > LONGEST_PLAIN or "\0" in value:
            raise BadHash(f"the password in the clear is empty, or longer than {LONGEST_PLAIN} characters")
        return Stored(value, is_plain=True)
    if scheme not in _KNOWN or encoding:
        raise BadHash(
            f"hashes of scheme {{{match[1][:20] if match else ''}}} can't be checked here; these can: {_ACCEPTED}"
        )
    if not value.startswith(_KNOWN[scheme]):
        if not match:
            raise BadHash("it has no {SCHEME} and doesn't begin with $: write {PLAIN} before a password in the clear")
        raise BadHash(f"what follows {{{scheme}}} is no such hash that can be checked here; these can: {_ACCEPTED}")
    stored = _checked(value)
    if len(stored) > LONGEST:
        raise BadHash(f"the hash is too long: {len(stored)} of at most {LONGEST} characters")
    return Stored(stored)


def written(stored: str) -> str:
    """Our column's value as Dovecot reads it; empty for a password that nobody has."""
    name, _, rest = stored.partition("$")
    scheme = {"bcrypt": "BLF-CRYPT", "sha512": "SHA512-CRYPT", "sha256": "SHA256-CRYPT"}.get(name, "")
    if name == "argon2":
        scheme = "ARGON2ID" if rest.startswith("argon2id$") else "ARGON2I"
    if not scheme:
        return ""
    return f"{{{scheme}}}{rest if name == 'bcrypt' else f'${rest}'}"


def _checked(value: str) -> str:
    """A hash as crypt(3) writes it, as our column has it. Raises BadHash."""
    if sha2 := _SHA2.fullmatch(value):
        if len(sha2[3]) == _SHA2_LENGTH[sha2[1]]:
            if int(sha2[2] or 5000) > MOST_SHA2_ROUNDS:
                raise BadHash(f"checking it would take {int(sha2[2]):,} rounds; {MOST_SHA2_ROUNDS:,} are the most")
            return f"{'sha512' if sha2[1] == '6' else 'sha256'}{value}"
    elif bcrypt := _BCRYPT.fullmatch(value):
        if int(bcrypt[1]) > MOST_BCRYPT_COST:
            raise BadHash(f"checking it has a cost of {int(bcrypt[1])}; {MOST_BCRYPT_COST} is the most")
        if int(bcrypt[1]) >= 4:
            return f"bcrypt${value}"
    elif argon2 := _ARGON2.fullmatch(value):
        kib, passes, lanes = (int(number) for number in argon2.groups()[1:])
        if kib > MOST_ARGON2_KIB or passes > MOST_ARGON2_PASSES or kib * passes > MOST_ARGON2_WORK_KIB:
            raise BadHash(
                f"checking it would take {kib // 1024:,} MB of memory {passes:,} times; {MOST_ARGON2_KIB // 1024:,} MB"
                f" and {MOST_ARGON2_WORK_KIB // 1024:,} MB in all are the most"
            )
        if 0 < lanes <= MOST_ARGON2_LANES and passes and kib >= 8 * lanes:
            return f"argon2{value}"
    raise BadHash("the hash is damaged: a part is missing, or has characters that it can't have")
