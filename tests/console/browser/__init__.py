"""The pages in a real browser: Debian's Chromium, on a spool that intake and completion have filled."""
