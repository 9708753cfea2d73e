"""Results on disk: ``result.json`` and ``answers.npz`` of each, reports over them, and the rows of a sweep.

Nothing here needs torch: saved results are read and written without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from benchmark.encoders import encoder_hash
from benchmark.leaderboard import write_report_page
from benchmark.report import can_draw, courses, draw_courses, draw_report, markdown_table, report_text
from benchmark.results import ANSWERS_FILE, Result, folder_name, read_result, write_result
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.files import sweep_temporaries, write_bytes_atomically, write_text_atomically
from builders.photos import PhotoSet
from builders.processes import deferred_signals, setup_child

FILES = ("answers.npz", "report.html", "report.md", "report.png", "result.json")
"""What a run writes into one folder. The result is moved last, so that an interrupted move is done again."""

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True)
class Scored:
    """The scores of one encoder on one photo set: the result, and values by photo under their names."""

    result: Result
    answers: Mapping[str, np.ndarray]
    photos: PhotoSet | None = None
    """The photo set, of which a local report shows some photos."""


@dataclass(frozen=True)
class Row:
    """What became of one encoder on one photo set."""

    spec: str
    """The encoder by the name that the user gave."""
    data: str
    """Name of the photo set."""
    state: str
    """``scored``, ``partial`` (there is a result, but a task or many photos failed), ``kept`` (a finished result of
    exactly this question was there) or ``failed``."""
    reason: str
    """What failed, one sentence each; else empty."""
    folder: str
    """Below the output; empty without a result."""
    result: Result | None = None


def what_failed(result: Result) -> str:
    """Reasons of a result's failures, without single photos."""
    return "; ".join(f.reason for f in result.failures if f.kind != "photo")


def failures_by_pair(rows: Sequence[Row]) -> dict[str, str]:
    """Reason by encoder and photo set, of the rows without result."""
    return {f"{row.spec} on {row.data}": row.reason for row in rows if row.state == "failed"}


def sweep_text(rows: Sequence[Row], output: Path) -> str:
    """A table of rows, and how many are of each state."""
    table = [[row.spec, row.data, row.state, ": ".join(filter(None, (row.folder, row.reason)))] for row in rows]
    counts = {state: sum(row.state == state for row in rows) for state in ("scored", "partial", "kept", "failed")}
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count or state != "partial")
    return (
        f"{markdown_table(['encoder', 'data', 'state', 'where or why'], table)}\n\n{summary}. "
        f"Written to {output}: report.html, report.md, {SWEEP_FILE}, <encoder>/<data>/result.json"
    )


def write_state(rows: Sequence[Row], output: Path) -> None:
    """Write ``sweep.json``."""
    plain = [{name: value for name, value in vars(row).items() if name != "result"} for row in rows]
    text = json.dumps({"rows": plain}, indent=2, ensure_ascii=False) + "\n"
    write_text_atomically(output / SWEEP_FILE, text)


def result_folder(result: Result) -> Path:
    """``<encoder>/<data>``, where a run of several results writes one."""
    return Path(folder_name(str(result.encoder["id"]))) / folder_name(str(result.data["name"]))


def move_existing(folder: Path, output: Path, new: Result) -> Path | None:
    """Move a finished result out of the way of a new one, unless the new one is a rerun of it.

    A rerun is of the same encoder (weights, preprocessing, pooling) on photos of the same name, and has scores if the
    finished result has some.

    Args:
        folder: where the new result goes.
        output: the folder of the run, ``folder`` itself or above it.
        new: what will be written.

    Returns:
        Where it is now, which is printed on standard error too; None if nothing had to be moved.
    """
    file = folder / "result.json"
    if not os.path.lexists(file):
        return None
    try:
        old = read_result(file)
        if _is_rerun(old, new):
            return None
        folders = [output / result_folder(old), output / _folder_with_hash(old)]
        what = f"the result of {old.encoder['id']} on {old.data['name']}"
    except (DataError, KeyError, TypeError):
        folders, what = [], "a result.json that cannot be read"
    numbered = (output / f"set-aside-{number}" for number in itertools.count(1))
    candidates = itertools.chain(folders, numbered)
    target = next(p for p in candidates if not os.path.lexists(p / "result.json"))
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if os.path.lexists(folder / name):
            os.replace(folder / name, target / name)
    print(f"camtrace: {what} was in {folder}; it is now in {target}", file=sys.stderr)
    return target


def _is_rerun(old: Result, new: Result) -> bool:
    same = encoder_hash(old.encoder) == encoder_hash(new.encoder) and old.data["name"] == new.data["name"]
    return same and bool(new.scores or not old.scores)


def _folder_with_hash(result: Result) -> Path:
    encoder, data = result_folder(result).parts
    return Path(f"{encoder}.{encoder_hash(result.encoder)}", data)


def warn_of_failures(results: Sequence[Result]) -> None:
    """One line on standard error for each result that lacks a photo, a task or its encoder."""
    for result in results:
        kinds = Counter(failure.kind for failure in result.failures)
        if kinds:
            counted = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in kinds.items())
            where = f"{result.encoder['id']} on {result.data['name']}"
            print(f"camtrace: warning: {where}: {counted} failed, see the report", file=sys.stderr)


class Forked:
    """A fork of this process for one piece of work. It prepares at once and then waits for the arguments of the work.

    If the fork fails, for whatever reason, the work is done in this process, which raises its error. On systems other
    than Linux no process is forked, and all of the work is done here.

    Args:
        work: writes files; done a second time, it must do the same. Its arguments can be pickled.
        prepare: what the fork begins with, such as imports.
    """

    def __init__(self, work: Callable[..., object], prepare: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self._process: BaseProcess | None = None
        if sys.platform != "linux" or multiprocessing.current_process().daemon:  # a daemon may have no children
            return
        context = multiprocessing.get_context("fork")
        theirs, self._pipe = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(work, prepare, theirs, self._pipe), daemon=True, name="drawing")
        with contextlib.suppress(OSError), deferred_signals():  # the system starts no more processes
            process.start()
            self._process = process
        theirs.close()

    @contextlib.contextmanager
    def run(self, *arguments: Any) -> Iterator[None]:
        """Run ``work(*arguments)`` in the fork while the body of the ``with`` runs; both are done when it ends.

        It can be called once. If the body fails, the fork is ended.
        """
        with self:
            if self._process is not None:
                with contextlib.suppress(Exception):  # the fork has ended, or this cannot be sent: done here
                    self._pipe.send(arguments)
                self._pipe.close()
            yield
            if self._process is not None:
                self._process.join()
            done = self._process is not None and self._process.exitcode == 0
        if not done:
            self._work(*arguments)

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the fork, whatever it is doing."""
        if self._process is not None:
            self._pipe.close()
            self._process.terminate()
            self._process.join()


def _serve(work: Callable[..., object], prepare: Callable[[], object], pipe: Connection, theirs: Connection) -> None:
    """Work in the fork. It drops errors, since the other process does the work again and raises them."""
    setup_child()
    theirs.close()  # else the fork would wait for its own end of the pipe
    try:
        prepare()
        work(*pipe.recv())
    except Exception:  # EOFError: there is no work after all
        sys.exit(1)


def write_scored(scored: Scored, output: Path, *, single: bool) -> Path:
    """Write one result and its per-photo answers.

    Args:
        scored: one encoder's scores on one photo set.
        output: the folder of the run.
        single: one encoder on one data set: directly in ``output``; else in ``output/<encoder>/<data>/``.

    A result of another encoder, or of other weights, is moved first (``move_existing``).

    Returns:
        The folder written to.
    """
    result = scored.result
    folder = output if single else output / result_folder(result)
    move_existing(folder, output, result)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(scored.answers))  # type: ignore[arg-type]
    sweep_temporaries(folder)
    answers = buffer.getvalue()
    write_bytes_atomically(folder / ANSWERS_FILE, answers, durable=True)
    environment = {**result.environment, "answers_sha256": hashlib.sha256(answers).hexdigest()}
    write_result(dataclasses.replace(result, environment=environment), folder / "result.json")
    return folder


def write_reports(
    results: Sequence[Result],
    unloaded: Mapping[str, str],
    output: Path,
    photos: Sequence[PhotoSet | None],
    drawing: Forked | None = None,
) -> str:
    """Write ``report.md`` and ``report.html`` of all results, and a figure per encoder.

    The figure is ``report.png`` in ``output`` if there is one encoder, else below it. If there are checkpoints of a
    training, ``course.png`` draws them by step.

    Args:
        results: of the run.
        unloaded: reason by encoder that could not be loaded.
        output: the folder of the run.
        photos: the photo sets, of which ``report.html`` shows some photos.
        drawing: ``begin_drawing()``, if the run began it early.

    Returns:
        The text of the report.
    """
    questions = all_tasks()
    text = report_text(results, questions, unloaded)
    write_text_atomically(output / "report.md", text)
    drawn = (drawing or Forked(_draw)).run(list(results), output) if can_draw("report.png") else nullcontext()
    with drawn:
        write_report_page(results, text, output / "report.html", photos=[p for p in photos if p is not None])
    return text


def begin_drawing() -> Forked:
    """A fork that will draw the figures of a run while this process writes its page.

    Begun with the run, while one core is idle, it has imported matplotlib by then.
    """
    return Forked(_draw, partial(import_module, "matplotlib.figure"))


def _draw(results: Sequence[Result], output: Path) -> None:
    questions = all_tasks()
    by_encoder: dict[str, list[Result]] = {}
    for result in results:
        by_encoder.setdefault(str(result.encoder["id"]), []).append(result)
    for encoder, of_encoder in by_encoder.items():
        folder = output if len(by_encoder) == 1 else output / folder_name(encoder)
        draw_report(of_encoder, questions, folder / "report.png")
    draw_courses(courses(results), questions, output / "course.png")
