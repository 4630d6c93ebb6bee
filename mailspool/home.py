"""Where Mailspool keeps its state: every path below `MAILSPOOL_HOME` is named here and nowhere else."""

import hashlib
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes with its final NUL (unix(7)).
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one installation."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "mailspool.sqlite3"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def drop(self) -> Path:
        return self.root / "drop"

    @property
    def maildirs(self) -> Path:
        return self.root / "maildirs"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def static(self) -> Path:
        """Copies of scripts, styles and fonts for browsers (mailspool.static_files)."""
        return self.root / "static"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def redis_log(self) -> Path:
        return self.redis / "server.log"

    @property
    def clock(self) -> Path:
        """How far apart the machine's two clocks were (base.clock)."""
        return self.root / "clock"

    @property
    def answers(self) -> Path:
        """What workers were answered and have not recorded yet (spool.delivery.answers)."""
        return self.root / "answers"

    @property
    def working(self) -> Path:
        """Copies of messages whose content is in the database, while somebody here works on them."""
        return self.root / "working"

    @property
    def bell(self) -> Path:
        """A named pipe: mail is due (spool.flow.local_bell)."""
        return self.root / "bell"

    @property
    def supervisor_lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def programs_lock(self) -> Path:
        return self.root / "programs.lock"

    @property
    def schema_lock(self) -> Path:
        """Held by who changes the schema of an SQLite database."""
        return self.root / "schema.lock"

    @property
    def backup_lock(self) -> Path:
        """Held by whoever makes a backup, or restores one."""
        return self.root / "backup.lock"

    @property
    def backup_work(self) -> Path:
        """What a backup needs for itself while it runs."""
        return self.root / "backup.work"

    @property
    def restore_mark(self) -> Path:
        """There while a restore has begun and not ended: no program may start then."""
        return self.root / "restore.unfinished"

    @property
    def redis_socket(self) -> Path:
        """The embedded server's socket: in the home, or in the temporary folder when the home's path is too long."""
        path = self.root / "redis.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"mailspool-{digest}.sock"

    @property
    def folders(self) -> tuple[Path, ...]:
        """What is made at the first start."""
        return (self.root, self.spool, self.drop, self.maildirs, self.keys, self.redis, self.static)

    def create(self) -> None:
        """Make the folders that are missing; only their owner may look inside."""
        for folder in self.folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def secret_key(self) -> str:
        """The installation's own secret, made at its first run."""
        path = self.keys / "secret_key"
        try:
            return path.read_text()
        except FileNotFoundError:
            self.create()
        draft = self.keys / f"secret_key.{secrets.token_hex(8)}"
        draft.touch(mode=0o600)
        try:
            draft.write_text(secrets.token_urlsafe(50))
            # link() fails when another process was first: then both use that one's secret.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return path.read_text()
