"""Exif of many files in worker processes with limits, so that a hostile file costs one failure and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import PhotoError
from builders.exif.acquisition import Acquisition, acquisition_from_raw
from builders.exif.parser import read_allowed
from builders.files import MAX_PHOTO_BYTES
from builders.processes import Sandbox, SandboxError, WorkerLost, default_workers, map_sandboxed
from builders.untrusted import UntrustedInputError, read_untrusted

NO_EXIF = "the file carries no Exif that is read here"
"""Reason of a file without any allow-listed value."""


@dataclass(frozen=True)
class Reading:
    """The Exif of one file, or why there is none."""

    acquisition: Acquisition
    """Empty if ``reason`` is set."""
    reason: str | None
    """One sentence, if nothing was read."""


def read_many(
    files: Iterable[Path | bytes],
    *,
    workers: int | None = None,
    timeout_s: float = 10.0,
    memory_bytes: int = 2**30,
) -> Iterator[Reading]:
    """Read the Exif of many files, in their order. Nothing about a file raises.

    Args:
        files: paths, or the bytes themselves; consumed only as fast as results are.
        workers: processes; by default one per core.
        timeout_s: wall-clock time for one file.
        memory_bytes: address space of one worker.
    """
    return map_sandboxed(
        _read,
        files,
        target=f"{__name__}:read_in_worker",
        workers=workers or default_workers(),
        timeout_s=timeout_s,
        memory_bytes=memory_bytes,
    )


def _read(sandbox: Sandbox, file: Path | bytes) -> Reading:
    if isinstance(file, bytes) and len(file) > MAX_PHOTO_BYTES:
        return Reading(Acquisition(), f"the file has {len(file)} bytes, more than {MAX_PHOTO_BYTES}")
    try:
        return sandbox.call(file, parse=_reading)
    except WorkerLost as error:
        return Reading(Acquisition(), f"reading its Exif ended the reader (status {error.status})")
    except SandboxError as error:
        return Reading(Acquisition(), f"reading its Exif {error}")


def _reading(answer: Any) -> Reading:
    if "raw" not in answer:
        return Reading(Acquisition(), str(answer["reason"]))
    acquisition = acquisition_from_raw({str(name): str(value) for name, value in answer["raw"].items()})
    return Reading(acquisition, None if acquisition.raw else NO_EXIF)


def read_in_worker(file: Path | bytes) -> dict[str, Any]:
    """The allow-listed values of a file (``raw``), or why there are none (``reason``). Called in a sandbox."""
    try:
        return {"raw": read_allowed(file if isinstance(file, bytes) else read_untrusted(file, limit=MAX_PHOTO_BYTES))}
    except UntrustedInputError as error:
        return {"reason": error.reason}
    except PhotoError as error:
        return {"reason": str(error)}
