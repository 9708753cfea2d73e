"""Results on disk: ``result.json`` and ``answers.npz`` of each, and reports over them."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import itertools
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from benchmark.report import courses, draw_courses, draw_report, report_text
from benchmark.results import ANSWERS_FILE, Result, folder_name, read_result, write_result
from benchmark.scoring.run import Scored
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.files import sweep_temporaries, write_bytes_atomically, write_text_atomically
from builders.photos import PhotoSet
from builders.processes import deferred_signals, setup_child

FILES = ("answers.npz", "report.html", "report.md", "report.png", "result.json")
"""What a run writes into one folder; the result goes last, so that what is half moved is moved again."""


def usual_place(result: Result) -> Path:
    """``<encoder>/<data>``, where a run of several writes a result."""
    return Path(folder_name(str(result.encoder["id"]))) / folder_name(str(result.data["name"]))


def move_existing(folder: Path, output: Path, new: Result) -> Path | None:
    """Move a finished result out of the way of a new one, unless that is the same question asked again.

    The same: of the same encoder (weights, preprocessing, pooling) on photos of the same name, and with scores if the
    one that stands there has some.

    Args:
        folder: where the new result goes.
        output: the folder of the run, ``folder`` itself or above it.
        new: what will be written.

    Returns:
        Where it is now, said on standard error too; None where nothing had to be moved.
    """
    file = folder / "result.json"
    if not os.path.lexists(file):
        return None
    try:
        old = read_result(file)
        if _is_rerun(old, new):
            return None
        places = [output / usual_place(old), output / _place_of_its_own(old)]
        what = f"the result of {old.encoder['id']} on {old.data['name']}"
    except (DataError, KeyError, TypeError):
        places, what = [], "a result.json that cannot be read"
    numbered = (output / f"set-aside-{number}" for number in itertools.count(1))
    offered = itertools.chain(places, numbered)
    place = next(p for p in offered if p != folder and not os.path.lexists(p / "result.json"))
    place.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if os.path.lexists(folder / name):
            os.replace(folder / name, place / name)
    print(f"camtrace: {what} stood in {folder}; it is kept in {place}", file=sys.stderr)
    return place


def _is_rerun(old: Result, new: Result) -> bool:
    same = encoder_hash(old.encoder) == encoder_hash(new.encoder) and old.data["name"] == new.data["name"]
    return same and bool(new.scores or not old.scores)


def _place_of_its_own(result: Result) -> Path:
    usual = usual_place(result)
    return Path(f"{usual.parts[0]}.{encoder_hash(result.encoder)}", *usual.parts[1:])


def warn_of_failures(results: Sequence[Result]) -> None:
    """One line on standard error for each result that lacks a photo, a task or its encoder."""
    for result in results:
        kinds = Counter(failure.kind for failure in result.failures)
        if kinds:
            counted = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in kinds.items())
            where = f"{result.encoder['id']} on {result.data['name']}"
            print(f"camtrace: warning: {where}: {counted} failed, see the report", file=sys.stderr)


class Forked:
    """A fork of this process for one piece of work; it gets ready at once, and waits to be told what to work on.

    What it cannot do, for whatever reason, is done here: an error is raised as if there had been no fork. So is all of
    it where processes are not forked (anywhere but on Linux).

    Args:
        work: leaves what it makes in files; done a second time, it must do the same. Its arguments can be pickled.
        ready: what it begins with, such as imports.
    """

    def __init__(self, work: Callable[..., object], ready: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self._process: BaseProcess | None = None
        if sys.platform != "linux" or multiprocessing.current_process().daemon:  # such a one may have no processes
            return
        context = multiprocessing.get_context("fork")
        theirs, self._pipe = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(work, ready, theirs, self._pipe), daemon=True, name="beside")
        with contextlib.suppress(OSError), deferred_signals():  # no room for a process
            process.start()
            self._process = process
        theirs.close()

    @contextlib.contextmanager
    def doing(self, *given: Any) -> Iterator[None]:
        """``work(*given)``, while the body of the ``with`` runs; both are done when it ends. For once.

        Where the body fails, the fork is ended.
        """
        with self:
            if self._process is not None:
                with contextlib.suppress(Exception):  # it has gone, or this cannot be sent: done here
                    self._pipe.send(given)
                self._pipe.close()
            yield
            if self._process is not None:
                self._process.join()
            done = self._process is not None and self._process.exitcode == 0
        if not done:
            self._work(*given)

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the fork, whatever it does."""
        if self._process is not None:
            self._pipe.close()
            self._process.terminate()
            self._process.join()


def _serve(work: Callable[..., object], ready: Callable[[], object], pipe: Connection, theirs: Connection) -> None:
    """In the fork: errors are for the process that will meet them again."""
    setup_child()
    theirs.close()  # else it would wait for itself
    try:
        ready()
        work(*pipe.recv())
    except Exception:  # EOFError: there is nothing to be done after all
        sys.exit(1)


def write_scored(scored: Scored, output: Path, *, single: bool) -> Path:
    """Write one result and its per-photo answers.

    Args:
        scored: what a run gave.
        output: the folder of the run.
        single: one encoder on one data set: directly in ``output``; else in ``output/<encoder>/<data>/``.

    What another encoder wrote there, or this one of other weights, is set aside first (``aside.py``).

    Returns:
        The folder written to.
    """
    result = scored.result
    folder = output if single else output / usual_place(result)
    move_existing(folder, output, result)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(scored.answers))  # type: ignore[arg-type]
    sweep_temporaries(folder)
    answers = buffer.getvalue()
    write_bytes_atomically(folder / ANSWERS_FILE, answers, durable=True)
    recorded = {**result.environment, "answers_sha256": hashlib.sha256(answers).hexdigest()}
    write_result(dataclasses.replace(result, environment=recorded), folder / "result.json")
    return folder


def write_reports(
    results: Sequence[Result],
    unloaded: Mapping[str, str],
    output: Path,
    photos: Sequence[PhotoSet | None] = (),
    drawing: Forked | None = None,
) -> str:
    """Write ``report.md`` and ``report.html`` over all results, and a picture per encoder.

    That is ``report.png`` in ``output`` if there is one encoder, else below it. Where there are checkpoints of a
    training, ``course.png`` draws them by step.

    Args:
        results: of the run.
        unloaded: reason by encoder that could not be loaded.
        output: the folder of the run.
        photos: that were scored on, of which ``report.html`` shows some.
        drawing: ``drawing_beside()``, where a run began it early.

    Returns:
        The text of the report.
    """
    questions = all_tasks()
    text = report_text(results, questions, unloaded)
    write_text_atomically(output / "report.md", text)
    with (drawing or Forked(_draw)).doing(list(results), output):
        write_report_page(results, text, output / "report.html", photos=[p for p in photos if p is not None])
    return text


def drawing_beside() -> Forked:
    """Who will draw the pictures of a run while its page is written; begun when the run begins, where one core is idle,
    it has imported matplotlib by then."""
    return Forked(_draw, partial(import_module, "matplotlib.figure"))


def _draw(results: Sequence[Result], output: Path) -> None:
    questions = all_tasks()
    by_encoder: dict[str, list[Result]] = {}
    for result in results:
        by_encoder.setdefault(str(result.encoder["id"]), []).append(result)
    for encoder, own in by_encoder.items():
        folder = output if len(by_encoder) == 1 else output / folder_name(encoder)
        draw_report(own, questions, folder / "report.png")
    draw_courses(courses(results), questions, output / "course.png")
