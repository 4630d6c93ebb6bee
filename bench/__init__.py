"""Measuring: Mailspool and its peer on the same machine, in the same run. Not tests: nothing here passes or fails."""
