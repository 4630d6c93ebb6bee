"""Looking for spam: what the checks say, what follows from it, and what is remembered of it."""
