"""Writing files so that a reader sees the old one or the new one, never a part; reading those that come with us."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import socket
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

SAVED_EVERY_S = 30.0
"""What grows while photos are read (an index, hashes, Exif) is written so often: a killed run loses no more."""

JUST_CHANGED_NS = 2_000_000_000
"""A file that changed so shortly before it was looked at may change again without another time: not remembered."""

MAX_PHOTO_BYTES = 512 * 2**20
"""A larger file is not opened as a photo: none of ``decode.MAX_PIXELS`` needs more."""


def write_bytes_atomically(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write to a temporary name in the same folder, then rename. Makes the folder.

    Args:
        path: of the file.
        data: its content.
        durable: on the disk before it has its name, so that a power cut leaves the old file or the whole new one: for
            what says that other files are done.

    Raises:
        OSError: it cannot be written; the old file, if there was one, is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, path)
        if durable:
            _keep_names(path.parent)
    finally:
        with contextlib.suppress(OSError):  # of a disk that went away: the first error is the one to tell
            temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """``write_bytes_atomically`` of UTF-8 text."""
    write_bytes_atomically(path, text.encode("utf-8"), durable=durable)


def temporary_beside(path: Path) -> Path:
    """A name in the folder of a file for its next content; it says which process of which machine writes it."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}.tmp")


def sweep_temporaries(folder: Path, *, ours: bool = False) -> int:
    """Remove what killed processes left half-written in a folder (not below it); how many files.

    A file goes if the process in its name is no longer there, or if it was another machine's and a day has passed.

    Args:
        folder: which.
        ours: nobody else writes there now (a lock is held): every such file goes.
    """
    swept = 0
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    except OSError:
        return 0
    for name in names:
        found = _TEMPORARY.fullmatch(name)
        if found is None or (not ours and found["machine"] == _machine() and _alive(int(found["process"]))):
            continue
        with contextlib.suppress(OSError):
            if ours or found["machine"] == _machine() or time.time() - (folder / name).stat().st_mtime > _DAY_S:
                (folder / name).unlink()
                swept += 1
    return swept


def sweep_cache(cache: Path) -> None:
    """``sweep_temporaries`` of the folders of a cache and of those in them: whatever a killed run was writing."""
    for folder in (*cache.glob("*"), *cache.glob("*/*")):
        if folder.is_dir():
            sweep_temporaries(folder)


def scratch_prefix() -> str:
    """How the names of this process's scratch files and folders begin, so that a later run knows whose they are."""
    return f"camtrace-{_machine()}-{os.getpid()}-"


def sweep_scratch() -> int:
    """Remove scratch files and folders of our processes of this machine that are no longer there; how many.

    A killed run leaves them in the system's folder for temporary files, in shared memory and in ``private_scratch``.
    """
    swept = 0
    private = private_scratch(make=False)
    for place in {Path(tempfile.gettempdir()), Path("/dev/shm"), *([private] if private else [])}:
        try:
            names = [name for name in os.listdir(place) if name.startswith("camtrace-")]
        except OSError:
            continue
        for name in names:
            found = _SCRATCH.fullmatch(name)
            if found is None or found["machine"] != _machine() or _alive(int(found["process"])):
                continue
            with contextlib.suppress(OSError):
                kind = os.lstat(place / name)
                if kind.st_uid != os.geteuid():  # the folder is everybody's
                    continue
                if stat.S_ISDIR(kind.st_mode):
                    shutil.rmtree(place / name)
                elif stat.S_ISREG(kind.st_mode):
                    os.unlink(place / name)
                else:
                    continue
                swept += 1
    return swept


def private_scratch(*, make: bool = True) -> Path | None:
    """A folder for scratch files that other users of this machine can neither read nor write; None where there is none.

    Args:
        make: it, where it is missing.
    """
    user = os.getuid() if hasattr(os, "getuid") else hashlib.sha256(str(Path.home()).encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"camtrace-views-{user}"
    try:
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    own = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o077)
    return folder if stat.S_ISDIR(found.st_mode) and own else None


def try_writing(folder: Path) -> None:
    """See that files can be written into a folder: before hours of work, not after. What was not there is not left.

    Raises:
        OSError: they cannot.
    """
    new = [place for place in (folder, *folder.absolute().parents) if not os.path.lexists(place)]
    folder.mkdir(parents=True, exist_ok=True)
    sweep_temporaries(folder)
    temporary = temporary_beside(folder / "try")
    try:
        with open(temporary, "wb") as stream:
            stream.write(b"\0" * 4096)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else may use it by now
            for place in new:
                place.rmdir()


def reserve_space(descriptor: int, size: int) -> None:
    """Give a file ``size`` bytes that are really there: writing into a map of a sparse file on a full disk is a SIGBUS.

    Raises:
        OSError: there is not so much space.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
    start = os.fstat(descriptor).st_size
    os.lseek(descriptor, start, os.SEEK_SET)
    while start < size:  # a system without it, or a file system that cannot
        start += os.write(descriptor, b"\0" * min(1 << 20, size - start))


_CANNOT_RESERVE = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_DAY_S = 86_400
_SCRATCH = re.compile(r"camtrace-(?P<machine>[0-9a-f]{8})-(?P<process>\d{1,10})-\w+")
_TEMPORARY = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>\d{1,10})\.tmp", re.DOTALL)


@functools.cache
def _machine() -> str:
    """8 hex digits that tell machines on one file system apart."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _alive(process: int) -> bool:
    """Whether it is there and has not ended. In a container whose first process waits for nobody, what has ended (as a
    zombie) is there for good."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        pass
    try:
        state = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # not Linux
        return True
    return state not in ("Z", "X")


def _keep_names(folder: Path) -> None:
    """Write a folder's list of names to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cache_folder() -> Path:
    """Where everything is kept that can be made again: ``$CAMTRACE_CACHE``, or ``camtrace`` in the user's cache."""
    named = os.environ.get("CAMTRACE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camtrace"


def read_package_yaml(path: Path) -> Any:
    """A table that comes with the package, as plain values.

    By the parser in C, where PyYAML was built with it: the four tables that a plain run reads take 0.02 s instead of
    0.12 s (processor time). What comes from elsewhere goes through ``builders.untrusted.parse_yaml``.
    """
    import yaml

    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
