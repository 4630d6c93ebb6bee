"""Signing in: second factors, recovery codes, application passwords, single sign-on, on the pages and over SMTP."""
