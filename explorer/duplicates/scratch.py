"""Arrays for one run that need not fit in memory: above a limit they lie in a file that goes with the process."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from explorer.corpus.workspace import unwritable

IN_MEMORY = 1 << 28  # bytes


def scratch(shape: int | tuple[int, ...], dtype: type, folder: Path | None = None, limit: int = IN_MEMORY) -> np.ndarray:
    """An array of unset values; mapped to a file in ``folder`` (the system's by default) that has no name when it is large.

    The system writes the pages of a mapped file out when memory is short, and takes the file back when the array is gone, also
    after a kill.

    Raises:
        WorkspaceError: the folder cannot be written or its disk is full.

    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= limit:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is an error here, not a signal in the middle of a kernel
                os.posix_fallocate(file.fileno(), 0, size)
            return (
                np.memmap(file, dtype, "r+", shape=shape) if hasattr(os, "posix_fallocate") else np.memmap(file, dtype, "w+", shape=shape)
            )
    except OSError as error:
        raise unwritable(Path(folder or tempfile.gettempdir()), error) from error
