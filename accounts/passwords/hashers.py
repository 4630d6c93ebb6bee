"""Django password hashers for what other mail servers store. They check; what is set anew is hashed by Argon2.

A password that a kind of hash can't have (a NUL, thousands of characters, half a surrogate) is a wrong one, never an
error. What a check may cost is bounded where hashes come in, by `accounts.passwords.schemes`.
"""

from __future__ import annotations

from typing import Any

import bcrypt
from django.contrib.auth.hashers import BasePasswordHasher, BCryptPasswordHasher, mask_hash
from django.utils.crypto import constant_time_compare
from passlib.handlers.sha2_crypt import sha256_crypt, sha512_crypt

# What bcrypt looks at; the C library, Dovecot and PHP drop the rest without a word.
BCRYPT_BYTES = 72


class Bcrypt(BCryptPasswordHasher):
    """`bcrypt$$2y$10$…`: Dovecot's {BLF-CRYPT}, PHP's password_hash."""

    def verify(self, password: str, encoded: str) -> bool:
        stored = encoded.partition("$")[2].encode()
        try:
            hashed = bcrypt.hashpw(_bytes(password)[:BCRYPT_BYTES], stored)
        except ValueError:
            return False
        return constant_time_compare(hashed, stored)


class _Sha2Crypt(BasePasswordHasher):
    """What Linux has in /etc/shadow, Dovecot as {SHA512-CRYPT} and {SHA256-CRYPT}, PostfixAdmin as `php_crypt:SHA512`.

    The names are short because the longest hash and its name must fit into the 128 characters of Django's column.
    """

    scheme: Any

    def encode(self, password: str, salt: str) -> str:
        return f"{self.algorithm}{self.scheme.using(salt=salt, rounds=5000).hash(password)}"

    def decode(self, encoded: str) -> dict[str, Any]:
        parsed = self.scheme.from_string(_crypt(encoded))
        return {
            "algorithm": self.algorithm,
            "rounds": parsed.rounds,
            "salt": parsed.salt,
            "checksum": parsed.checksum,
        }

    def verify(self, password: str, encoded: str) -> bool:
        try:
            return bool(self.scheme.verify(_bytes(password), _crypt(encoded)))
        except ValueError:
            return False

    def safe_summary(self, encoded: str) -> Any:
        decoded = self.decode(encoded)
        masked = {name: mask_hash(decoded[name]) for name in ("salt", "checksum")}
        return {"algorithm": self.algorithm, "rounds": decoded["rounds"], **masked}

    def must_update(self, encoded: str) -> bool:
        return True

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing: it is never the preferred hasher."""


class Sha512Crypt(_Sha2Crypt):
    """`sha512$6$…`."""

    algorithm = "sha512"
    scheme = sha512_crypt


class Sha256Crypt(_Sha2Crypt):
    """`sha256$5$…`."""

    algorithm = "sha256"
    scheme = sha256_crypt


def _crypt(encoded: str) -> str:
    """The hash as crypt(3) writes it: without Django's name of the algorithm before it."""
    return encoded[encoded.index("$") :]


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
