"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayescale.errors import InputError

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write beside ``path``, which takes its place if nothing fails.

    Parameters
    ----------
    path
        Where the file is to be in the end.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to, or there is a folder of that name.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/note.txt") as part:
    ...         _ = part.write_text("all of it")
    ...     print(os.listdir(folder))
    ['note.txt']
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InputError(
            f"cannot save to {target}: there is no folder {target.parent}; make it first"
        )
    if target.is_dir():
        raise InputError(f"cannot save to {target}: it is a folder; name a file in it")
    # The ending is kept, since some writers choose the format by it.
    try:
        handle, temporary = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.stem}.", suffix=f".part{target.suffix}"
        )
    except OSError as error:
        raise InputError(f"cannot save to {target}: {error.strerror or error}") from None
    os.close(handle)
    try:
        yield Path(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
