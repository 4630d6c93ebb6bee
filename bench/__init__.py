"""Measurements beside a peer, never part of the tests. Nothing imports it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailspool.settings")
django.setup()
