"""The pages of throttling: who is over a limit now, what may be done about it, and what was before. Thin doors to
throttling.actions; the look is spool.console's."""
