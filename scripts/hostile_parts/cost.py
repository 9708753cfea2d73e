"""What the checks cost: one run with them and one without, in turn, as ratios of processor time pair by pair."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any


@contextmanager
def without_checks() -> Iterator[list[str]]:
    """Within it this process does not check: what is replaced, by name.

    Left out are fsync, reserved space, sweeps and trials of folders, CRC-32 of blocks and of their markers, SHA-256 of
    results and answers, forms of JSON, the door's looks at files, readable names, memory of large pictures and the
    finiteness of embeddings. Not left out: what the doors would do anyway (open, read, parse, write, rename).
    """
    from benchmark.bank import view_file
    from benchmark.bank.fill import batches
    from benchmark.results import forms, schema
    from benchmark.scoring import output
    from builders import files, photos
    from builders.processes import memory
    from builders.untrusted import documents
    from builders.untrusted import files as archives
    from builders.untrusted import files as door
    from builders.untrusted import text as names

    replaced: list[tuple[Any, str, Any]] = []

    def put(holder: Any, name: str, substitute: Any) -> None:
        replaced.append((holder, name, getattr(holder, name)))
        setattr(holder, name, substitute)

    def everywhere(module: Any, name: str, substitute: Any) -> None:
        original = getattr(module, name)
        for other in [m for key, m in sys.modules.items() if key.partition(".")[0] in ("benchmark", "builders")]:
            for known in [known for known, value in vars(other).items() if value is original]:
                put(other, known, substitute)

    put(os, "fsync", lambda descriptor: None)
    everywhere(files, "reserve_space", lambda descriptor, size: os.truncate(descriptor, size))
    for name in ("sweep_temporaries", "sweep_scratch", "sweep_cache", "try_writing", "_keep_names"):
        everywhere(files, name, lambda *args, **kwargs: 0)
    everywhere(view_file, "crc32_of", lambda rows: 0)
    everywhere(view_file, "_own_crc32", lambda marker: 0)
    put(view_file.ViewFile, "damaged", lambda self: [])
    everywhere(schema, "_seal", lambda raw: "")
    everywhere(forms, "check_forms", lambda result: None)
    put(output, "hashlib", SimpleNamespace(sha256=_Nothing))
    everywhere(archives, "archive_sha256", lambda path: "")
    everywhere(door, "open_outside", _opened)
    everywhere(documents, "parse_json", lambda text, where: json.loads(text))
    everywhere(documents, "check_plain", lambda value: None)
    everywhere(names, "readable", lambda name: name)
    everywhere(names, "is_readable", lambda name: True)
    put(photos.PhotoSet, "_make_readable", lambda self: None)
    nothing = memory.Reservation(None)
    everywhere(memory, "reserve_for", lambda width, height: nothing)
    put(batches, "torch", _Torch())
    try:
        yield sorted({name for _, name, _ in replaced})
    finally:
        for holder, name, before in reversed(replaced):
            setattr(holder, name, before)


@contextmanager
def _opened(path: str | Path, **limits: object) -> Iterator[Any]:
    with open(path, "rb") as stream:
        yield stream


class _Torch:
    """torch to which every number is finite."""

    def __getattr__(self, name: str) -> Any:
        import torch

        return (lambda values: torch.ones((), dtype=torch.bool)) if name == "isfinite" else getattr(torch, name)


class _Nothing:
    """A hash of nothing."""

    def __init__(self, data: bytes = b"") -> None:
        pass

    def update(self, data: bytes) -> None:
        pass

    def digest(self) -> bytes:
        return bytes(32)

    def hexdigest(self) -> str:
        return "0" * 64


def paired(command: Callable[[Path], Sequence[str]], folder: Path, pairs: int) -> list[tuple[float, ...]]:
    """Runs with and without checks in turn, each in a process of its own and a new folder, one warm-up each.

    Returns:
        Of each pair: processor seconds with and without, and seconds by the clock with and without.
    """
    found = []
    for number in range(-1, pairs):
        order = (True, False) if number % 2 else (False, True)
        took = {checked: _run(command, folder / "run", checked) for checked in order}
        if number >= 0:
            found.append((took[True][0], took[False][0], took[True][1], took[False][1]))
    return found


def _run(command: Callable[[Path], Sequence[str]], folder: Path, checked: bool) -> tuple[float, float]:
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    child = os.fork()
    if not child:
        status = 99
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
            from benchmark.__main__ import main

            with contextlib.nullcontext() if checked else without_checks():
                status = main(list(command(folder)))
        os._exit(status)
    _, status, used = os.wait4(child, 0)
    assert status == 0, (
        f"a run {'with' if checked else 'without'} checks ended with {os.waitstatus_to_exitcode(status)}"
    )
    return used.ru_utime + used.ru_stime, time.perf_counter() - began
