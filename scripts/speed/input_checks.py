"""What the checks of inputs and files cost: runs with them and without them, in turn, as ratios of processor time.

The run is a small ``camtrace score`` (``--set like='score -m ... -d ... -q'``: another).
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scripts.speed.measure import Row, interleaved, together

AIM = 1.03
"""Processor time with checks over that without."""


def rows(quick: bool = False, *, rounds: int = 9, like: str | None = None) -> Iterator[Row]:
    """Ratios of processor time and of time by the clock."""
    import torch

    from scripts.checks.faults.processes import warm_up
    from scripts.checks.faults.stages import photos, stages

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="camtrace-speed-") as name:
        folder = Path(name)
        command = partial(_like, like) if like else stages(photos(folder / "photos"), folder)[0].command
        warm_up(command(folder / "warm"), folder / "warm")
        work = {
            "with": partial(_run, command, folder / "run", checked=True),
            "without": partial(_run, command, folder / "run", checked=False),
        }
        turned = dict(reversed(work.items()))
        interleaved(work, 1, warm_up=False)
        each = [interleaved(turned if i % 2 else work, 1, warm_up=False) for i in range(1 if quick else rounds)]
    times = together(each)
    processor, wall = times.ratio("with", "without", "processor"), times.ratio("with", "without")
    wrong = processor > AIM and not quick
    unit = "of the time without"
    yield Row("a run with checks, processor time", processor, unit, len(times), threads=1, aim=AIM, wrong=wrong)
    yield Row("a run with checks, by the clock", wall, unit, len(times), threads=1)


def _like(words: str, run: Path) -> list[str]:
    return [*shlex.split(words), "--output", str(run / "out"), "--cache", str(run / "cache")]


def _run(command: Callable[[Path], Sequence[str]], folder: Path, *, checked: bool) -> None:
    """The command in a child of this process and a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    child = os.fork()
    if not child:
        status = 99
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
            from benchmark.__main__ import main

            with contextlib.nullcontext() if checked else without_checks():
                status = main(list(command(folder)))
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"a run {'with' if checked else 'without'} checks ended with {status}"


@contextmanager
def without_checks() -> Iterator[list[str]]:
    """Within, this process does not check; yields the names of what is replaced.

    Left out are fsync, reserved space, sweeps and trials of folders, CRC-32 of blocks and of their markers, SHA-256 of
    results and answers, forms of JSON, checks of files before they are opened, readable names, memory and scans of
    pictures, redaction, what foreign code may not do, and the finiteness of embeddings. Not left out is what runs do
    anyway: open, read, parse, write, rename.
    """
    from benchmark.bank.fill import batches
    from benchmark.bank.view_file import ViewFile, _marker_crc32, crc32_of
    from benchmark.compute import foreign_code
    from benchmark.results.check import check_forms
    from benchmark.results.schema import _seal
    from benchmark.scoring import output
    from builders.files import (
        _sync_folder,
        reserve_space,
        sweep_cache,
        sweep_scratch,
        sweep_temporaries,
        try_writing,
    )
    from builders.photos import PhotoSet
    from builders.pixels.decode import check_work
    from builders.processes.memory import Reservation, reserve_for
    from builders.untrusted.documents import check_plain, parse_json
    from builders.untrusted.files import archive_sha256, open_untrusted
    from builders.untrusted.redaction import redacted, redacted_logs
    from builders.untrusted.text import is_readable, readable

    replaced: list[tuple[Any, str, Any]] = []

    def put(holder: Any, name: str, substitute: Any) -> None:
        replaced.append((holder, name, getattr(holder, name)))
        setattr(holder, name, substitute)

    def everywhere(function: Any, substitute: Any) -> None:
        """In every module of the packages that has the function, under any name."""
        for module in [m for key, m in sys.modules.items() if key.partition(".")[0] in ("benchmark", "builders")]:
            for name in [name for name, value in vars(module).items() if value is function]:
                put(module, name, substitute)

    put(os, "fsync", lambda descriptor: None)
    everywhere(reserve_space, lambda descriptor, size: os.truncate(descriptor, size))
    for function in (sweep_temporaries, sweep_scratch, sweep_cache, try_writing, _sync_folder):
        everywhere(function, lambda *args, **kwargs: 0)
    everywhere(crc32_of, lambda rows: 0)
    everywhere(_marker_crc32, lambda marker: 0)
    put(ViewFile, "damaged", lambda self: [])
    everywhere(_seal, lambda raw: "")
    everywhere(check_forms, lambda result: None)
    put(output, "hashlib", SimpleNamespace(sha256=_Nothing))
    everywhere(archive_sha256, lambda path: "")
    everywhere(open_untrusted, _opened)
    everywhere(parse_json, lambda text, where: json.loads(text))
    everywhere(check_plain, lambda value: None)
    everywhere(readable, lambda name: name)
    everywhere(is_readable, lambda name: True)
    put(PhotoSet, "_make_readable", lambda self: None)
    everywhere(redacted, lambda text: text)
    for context in (redacted_logs, foreign_code):
        everywhere(context, lambda **options: contextlib.nullcontext())
    everywhere(check_work, lambda image, data: None)
    nothing = Reservation(None)
    everywhere(reserve_for, lambda width, height: nothing)
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
