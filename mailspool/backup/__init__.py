"""Backup and restore of an installation while mail flows: its database, and exactly the files that its rows name.

    keeping    files that are removed meanwhile are kept until they have been copied
    snapshot   the database at one moment, as a file and to be asked
    wanted     the files that its rows name, and where each of them is now
    maildirs, dropped    mail that has no rows, moved about by others while it is copied
    pool, stream    where copies go: a folder of contents by their sums, shared by all backups in it; or a tar
    manifest   what a backup consists of: the last file to be written; without it there is no backup
    making     all of that in order
    staging, loading, restoring    the way back, into an installation that is empty

The order is what makes it whole. Removed files are kept from before the snapshot on (spool.files.removal), and rows are
removed before files: so each row of the snapshot has its file somewhere until it is copied. Files are never changed,
and their names never used again; that is why they can be copied at leisure, or linked, and only once for all backups.
"""
