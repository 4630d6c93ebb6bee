"""Signing in, for everybody: the login with its second factor, single sign-on, proving oneself anew, and the own page.

What it means is in accounts.sign_in; what is counted against guessers, in security.web_login. Here is who is asked
what.
"""
