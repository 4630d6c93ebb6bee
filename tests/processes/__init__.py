"""What `make run` promises: the supervisor alone, and a whole Mailspool under it."""
