"""What an administrator installs: units, package, container, and the page that says how.

systemd is no part of it: its place is taken by units.py, which reads the units, and sandbox.py, which starts what they
say in the surroundings that they ask for.
"""
