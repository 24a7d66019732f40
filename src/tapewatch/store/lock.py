"""One instance per database: a lock beside the file, which the kernel releases however the process ends."""

import fcntl
import os
from pathlib import Path

from tapewatch.errors import StoreError


class Lock:
    """Hold ``NAME.lock`` beside a database until `release`.

    Raises
    ------
    StoreError
        Another process holds it, or the folder cannot be written.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(f"{database.name}.lock")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another place with --db") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise StoreError(
                f"{database}: another tapewatch (process {holder or 'unknown'}) is writing to it; "
                "stop that one or choose another file with --db"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next instance in; the file stays, for removing it would let two in at once."""
        os.close(self._file)
