"""Messages with their envelopes as files: how one is written, and read again here or by another Mailspool.

Also what other servers' files are read by: `X-` fields, and the output of Postfix's postcat. Nothing here touches the
spool or the database; `spool.actions.import_folder` takes in what is read.
"""
