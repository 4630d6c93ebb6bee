"""The page where members leave a mailing list: by a button, or by the one click of their mail program (RFC 8058)."""
