"""Passwords that were hashed elsewhere: kept as they came, checked, and hashed anew by Argon2 at their next login.

Nothing here hashes a new password: that is Argon2's alone (PASSWORD_HASHERS begins with it). Knows no users.
"""
