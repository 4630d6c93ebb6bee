"""What is kept in a web session by a name that several parts of accounts know."""

# The key of the administrator who is in the user's place.
IMPERSONATOR_KEY = "mailspool_impersonator"
