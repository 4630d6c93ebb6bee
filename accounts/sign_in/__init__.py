"""Signing in: second factors, recovery codes, application passwords, and how a session got its owner.

What is decided and stored; pages ask and show. The cryptography is that of libraries: pyotp (RFC 6238), fido2
(WebAuthn). It looks at models, history and the actor, and knows neither the directory, which asks it about application
passwords, nor login protection, which is above. Single sign-on, which may change an account, stands beside it
(accounts.single_sign_on).
"""
