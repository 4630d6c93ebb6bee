"""The settings of installations that tests start: the program's own, with passwords that are quick to check."""

from mailspool.settings import *  # noqa: F403

PASSWORD_HASHERS = ["tests.support.hashing.QuickArgon2", *PASSWORD_HASHERS[1:]]  # noqa: F405
