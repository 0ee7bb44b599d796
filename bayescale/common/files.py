"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayescale.common.errors import InputError

__all__ = ["is_intact", "replacing", "sealed"]

# HDF5 ignores what follows its own end of a file, and drops it when it changes the file.
_SEAL = b"bayescale-sha256"
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write beside ``path``, which takes its place if nothing fails.

    An earlier file is there until the new one is complete and on the disk; its permissions are
    kept. A link is followed.

    Parameters
    ----------
    path
        Where the file is to be in the end.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written to, or what is there under that name is
        a folder or a device, or the disk is full.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/note.txt") as part:
    ...         _ = part.write_text("all of it")
    ...     print(os.listdir(folder))
    ['note.txt']
    """
    target = Path(path)
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    if not target.parent.is_dir():
        raise InputError(
            f"cannot save to {target}: there is no folder {target.parent}; make it first"
        )
    if target.is_dir():
        raise InputError(f"cannot save to {target}: it is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise InputError(f"cannot save to {target}: it is a device or a pipe; name a file")
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
        os.chmod(temporary, _mode(target))
        # A disk may be found to be full only now.
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise InputError(f"cannot save to {target}: {error.strerror}") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _mode(target: Path) -> int:
    """Permissions of the file that is there, or else those of any new file."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def sealed(content: bytes) -> bytes:
    """The content of an HDF5 file and a digest of it, by which damage is noticed."""
    return content + _SEAL + hashlib.sha256(content).digest()


def is_intact(path: Path) -> bool:
    """Whether a file is as it was when sealed; one that has no seal is taken to be."""
    size = path.stat().st_size - len(_SEAL) - hashlib.sha256().digest_size
    if size < 0:
        return True
    with open(path, "rb") as file:
        file.seek(size)
        end = file.read()
    return not end.startswith(_SEAL) or end[len(_SEAL) :] == _digest(path, size)


def _digest(path: Path, size: int) -> bytes:
    """SHA-256 of the first bytes of a file."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while size > 0 and (part := file.read(min(size, 1 << 20))):
            found.update(part)
            size -= len(part)
    return found.digest()
