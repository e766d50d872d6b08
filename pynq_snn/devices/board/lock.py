"""One process at a time on the board: a locked file, which the kernel unlocks however its holder ends."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from pynq_snn.errors import DeviceError

LOCK_NAME = "pynq-snn-board.lock"
_RUN_FOLDER = Path("/run/lock")  # in memory: a restart of the board empties it


def default_lock_file() -> Path:
    """Return the file that every process on this machine locks."""
    return (_RUN_FOLDER if _RUN_FOLDER.is_dir() else Path(tempfile.gettempdir())) / LOCK_NAME


class BoardLock:
    """The right to use the board; also keeps a note from one holder for the next.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    DeviceError
        Another process has the board, or another accelerator in this one; the message names it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DeviceError(f"{path} cannot be opened ({error.strerror}); use the board as root") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = self._read()
            os.close(self._descriptor)
            self._descriptor = None
            raise DeviceError(_in_use(holder)) from error
        self._content = self._read()
        self._content |= {"process": os.getpid(), "program": Path(sys.argv[0]).name}
        self._write()

    @property
    def note(self) -> dict[str, Any]:
        """What the last holder noted; an empty dict where there is nothing."""
        note = self._content.get("note")
        return note if isinstance(note, dict) else {}

    @note.setter
    def note(self, note: dict[str, Any]) -> None:
        self._content["note"] = note
        self._write()

    def _read(self) -> dict[str, Any]:
        assert self._descriptor is not None
        try:
            content = json.loads(os.pread(self._descriptor, 1 << 16, 0))
        except ValueError:
            return {}  # new, or its writer was killed: then nothing is known
        return content if isinstance(content, dict) else {}

    def _write(self) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(self._content).encode(), 0)

    def release(self) -> None:
        """Let others use the board; safe to call twice."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


def _in_use(holder: dict[str, Any]) -> str:
    process = holder.get("process", "unknown")
    if process == os.getpid():
        return "the board is in use by another accelerator of this process; close() that one, or restart the notebook"
    program = f" ({holder['program']})" if holder.get("program") else ""
    return f"the board is in use by process {process}{program}; end it, or wait for it (a notebook: shut it down)"
