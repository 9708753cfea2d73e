"""Atomic writes (a reader sees the old file or the new one, never a part), scratch files, and tables of the package."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import math
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
"""Seconds between writes of files that grow while photos are read (index, Exif): the most that a killed run loses."""

JUST_CHANGED_NS = 2_000_000_000
"""A file that changed less than so many nanoseconds before it was read may change again under the same time stamp: what
was read is not cached."""

MAX_PHOTO_BYTES = 512 * 2**20
"""A larger file is not opened as a photo: no photo of ``decode.MAX_PIXELS`` needs more."""


def write_bytes_atomically(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write to a temporary name in the same folder, then rename. Makes the folder.

    Args:
        path: of the file.
        data: its content.
        durable: synchronise with the disk before the rename, so that a power cut leaves the old file or the whole new
            one. For files that state that others are complete.

    Raises:
        OSError: it cannot be written; the old file, if any, is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):  # of a disk that went away: the first error is raised
            temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str, *, durable: bool = False) -> None:
    """``write_bytes_atomically`` of UTF-8 text."""
    write_bytes_atomically(path, text.encode("utf-8"), durable=durable)


def temporary_path(path: Path) -> Path:
    """A temporary name in the folder of a file; it contains the process and the machine that write it."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}.tmp")


def sweep_temporaries(folder: Path, *, exclusive: bool = False) -> int:
    """Remove files that killed processes left half-written in a folder, not below it. Returns their number.

    A file is removed if the process in its name has ended, or if it is of another machine and a day old.

    Args:
        folder: with the files.
        exclusive: no other process writes there (a lock is held), so every such file is removed.
    """
    n_removed = 0
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    except OSError:
        return 0
    for name in names:
        match = _TEMPORARY.fullmatch(name)
        if match is None or (not exclusive and match["machine"] == _machine() and is_running(int(match["process"]))):
            continue
        with contextlib.suppress(OSError):
            if exclusive or match["machine"] == _machine() or time.time() - (folder / name).stat().st_mtime > _DAY_S:
                (folder / name).unlink()
                n_removed += 1
    return n_removed


def sweep_cache(cache: Path) -> None:
    """``sweep_temporaries`` of the folders of a cache and of their sub-folders."""
    for folder in (*cache.glob("*"), *cache.glob("*/*")):
        if folder.is_dir():
            sweep_temporaries(folder)


def scratch_prefix() -> str:
    """Prefix of the names of this process's scratch files and folders; it names the process for a later run."""
    return f"camtrace-{_machine()}-{os.getpid()}-"


def sweep_scratch() -> int:
    """Remove scratch files and folders of processes of this machine that have ended. Returns their number.

    A killed run leaves them in the system's folder for temporary files, in shared memory and in ``private_scratch``.
    """
    n_removed = 0
    private = private_scratch(make=False)
    for folder in {Path(tempfile.gettempdir()), Path("/dev/shm"), *([private] if private else [])}:
        try:
            names = [name for name in os.listdir(folder) if name.startswith("camtrace-")]
        except OSError:
            continue
        for name in names:
            match = _SCRATCH.fullmatch(name)
            if match is None or match["machine"] != _machine() or is_running(int(match["process"])):
                continue
            with contextlib.suppress(OSError):
                status = os.lstat(folder / name)
                if status.st_uid != os.geteuid():  # all users write into the folder
                    continue
                if stat.S_ISDIR(status.st_mode):
                    shutil.rmtree(folder / name)
                elif stat.S_ISREG(status.st_mode):
                    os.unlink(folder / name)
                else:
                    continue
                n_removed += 1
    return n_removed


def private_scratch(*, make: bool = True) -> Path | None:
    """A folder for scratch files that other users of this machine can neither read nor write; None if there is none.

    Args:
        make: create the folder if it is absent.
    """
    user = os.getuid() if hasattr(os, "getuid") else hashlib.sha256(str(Path.home()).encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"camtrace-views-{user}"
    try:
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    private = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o077)
    return folder if stat.S_ISDIR(status.st_mode) and private else None


def try_writing(folder: Path) -> None:
    """Check that files can be written into a folder, before hours of work. Leaves no file and no new folder.

    Raises:
        OSError: files cannot be written.
    """
    new = [path for path in (folder, *folder.absolute().parents) if not os.path.lexists(path)]
    folder.mkdir(parents=True, exist_ok=True)
    sweep_temporaries(folder)
    temporary = temporary_path(folder / "try")
    try:
        with open(temporary, "wb") as stream:
            stream.write(b"\0" * 4096)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another process may use it by now
            for path in new:
                path.rmdir()


def reserve_space(descriptor: int, size: int) -> None:
    """Allocate ``size`` bytes of a file on the disk: writing into a map of a sparse file on a full disk is a SIGBUS.

    Raises:
        OSError: there is not enough space.
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


CLOCK_S = 2.0
"""Seconds by which two ways to read the time of a process's start may differ."""


@functools.cache
def _machine() -> str:
    """8 hex digits that distinguish machines on a shared file system."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def is_running(process: int, since: float = math.inf) -> bool:
    """True if the process exists and is no zombie: where nothing waits for ended processes, zombies stay for ever.

    Args:
        process: its number.
        since: seconds since 1970; a process that began later has only taken the number.
    """
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user
        pass
    try:
        fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
        booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        began = booted + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError, AttributeError):  # not Linux
        return True
    return fields[0] not in ("Z", "X") and began <= since + CLOCK_S


def _sync_folder(folder: Path) -> None:
    """Write a folder's list of names to the disk, where the system supports that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cache_folder() -> Path:
    """Folder of everything that can be made again: ``$CAMTRACE_CACHE``, or ``camtrace`` in the user's cache."""
    configured = os.environ.get("CAMTRACE_CACHE")
    if configured:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camtrace"


def read_package_yaml(path: Path) -> Any:
    """A table of this package, as plain values. Untrusted files are read by ``builders.untrusted.parse_yaml``.

    Read by the parser in C, where PyYAML was built with it: the four tables of a plain run take 0.02 s instead of
    0.12 s (processor time).
    """
    import yaml

    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


SERVERS = "https?|ftps?|sftp|webdav"
"""Pattern: schemes of servers, which are no stores."""


def is_remote(address: str) -> bool:
    """Whether an address is no path of this machine.

    >>> is_remote("s3://bucket/a.tar"), is_remote("/data/a.tar")
    (True, False)
    """
    return "://" in address and not address.startswith("file://")


TIME_ALONE = "modified "
"""Begin of an identity that is no more than a time of change, which other bytes of equal size may have too."""


def is_lasting(identity: str) -> bool:
    """Whether no other bytes have an identity, so that a cache may be keyed by it.

    >>> is_lasting("5d41"), is_lasting("modified Thu, 03 Dec 2026"), is_lasting("")
    (True, False, False)
    """
    return bool(identity) and not identity.startswith(TIME_ALONE)
