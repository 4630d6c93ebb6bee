"""Passwords of tests: hashed by Argon2 as everybody's, at a thousandth of the cost: nowhere is the cost the subject."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class QuickArgon2(Argon2PasswordHasher):
    """The least that Argon2 takes: nothing is guessed in a test."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1
