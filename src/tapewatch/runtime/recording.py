"""A recording beside the database: which rows of it count is decided by the database's commits."""

from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from tapewatch.carry.tape import Recorder
from tapewatch.errors import ConfigError
from tapewatch.model import Rows

RECORDING = "recording"
"""Name of the blob in the table ``state``."""


class _Kept(Struct, frozen=True):
    folder: str
    recording: str
    rows: int  # in the recording
    at: int  # Position.rows of the commit


class Recording:
    """Record what is detected, made by `open`.

    Parameters
    ----------
    recorder
        Writes the files.
    folder
        Where.
    """

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self._recorder = recorder
        self._folder = folder

    @classmethod
    def open(cls, folder: Path, kept: bytes | None, at: int) -> Self:
        """Begin a recording, or go on with the one that the database tells of.

        Parameters
        ----------
        folder
            Where to record.
        kept
            What `append` returned for the database's last commit, if anything was recorded then.
        at
            `Position.rows` of that commit.

        Raises
        ------
        ConfigError
            The database went on without recording: what came meanwhile is missing in the folder's recording.
        TapeError
            The folder cannot be recorded into.
        """
        folder = folder.resolve()
        if kept is not None:
            last = msgspec.json.decode(kept, type=_Kept)
            if last.folder == str(folder):
                if last.at != at:
                    raise ConfigError(
                        f"--record {folder}: {at - last.at} rows came since that were not recorded; "
                        "choose an empty folder"
                    )
                return cls(Recorder.open(folder, rows_kept=last.rows, recording=last.recording), folder)
        return cls(Recorder.open(folder), folder)

    def append(self, rows: list[Rows], at: int) -> bytes:
        """Record rows so that they survive kill -9 and a loss of power, before the commit that counts them.

        Parameters
        ----------
        at
            `Position.rows` of the commit that these rows belong to.

        Returns
        -------
        bytes
            What that commit must store under `RECORDING`.
        """
        for part in rows:
            self._recorder.append(part)
        self._recorder.flush()
        kept = _Kept(str(self._folder), self._recorder.recording, self._recorder.position, at)
        return msgspec.json.encode(kept)

    def close(self) -> None:
        """Finish the files."""
        self._recorder.close()
