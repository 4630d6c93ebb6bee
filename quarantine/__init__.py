"""What is looked for in mail, and what becomes of mail in which it was found: scanning stages and both quarantines.

It plugs into the spool by SPOOL_STAGES and SPOOL_HOLDERS in settings, and imports security, spool and
accounts, which know nothing of it. It delivers nothing itself: what is resent is an entry of the spool again.
"""
