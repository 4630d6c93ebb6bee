"""The verbs of SMTP, a module each."""
