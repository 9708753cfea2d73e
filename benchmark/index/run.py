"""``audit_index``: open an index, search neighbours, compare every group, and repair on request."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmark.erasing import method_named
from benchmark.index.measure import QUERIES, K, Measured, control_of, drawn_queries, measured_group, nearest_of
from benchmark.index.opened import matched_vectors, opened_index
from benchmark.index.repair import repaired
from benchmark.index.result import IndexAudit
from benchmark.judgement import judge_index
from builders.errors import DataError, UsageError, disk_error, unknown_name
from builders.files import scratch_prefix, sweep_scratch


def audit_index(
    index: str,
    *,
    images: str | Path | None = None,
    label: str = "",
    cluster: str = "",
    second: str = "",
    k: int = K,
    queries: int = QUERIES,
    repair: bool = False,
    groups: Sequence[str] = (),
    method: str = "leace",
    seed: int = 0,
) -> IndexAudit:
    """Do the nearest neighbours in an index share codec, size or quality beyond what content and chance explain?

    Args:
        index: ``FILE.npy``, ``.parquet`` or ``.faiss``, ``qdrant:http://HOST:PORT/COLLECTION``, or
            ``pgvector:postgresql://...?table=TABLE``; options name columns, as those of a data specification.
        images: folder of the pictures, whose headers are read.
        label: SOURCE of what pictures show.
        cluster: SOURCE of what errs together; photos of one cluster are no neighbours.
        second: another index of the same pictures, whose neighbours stand for the content.
        k: neighbours of a query.
        queries: most queries.
        repair: fit a map that takes out the groups that were found, or ``groups``.
        groups: that are taken out.
        method: of the map, ``leace`` or another of ``benchmark.erasing``.
        seed: of the draw and of the halves of a repair.

    Raises:
        UsageError: an option or a column is wrong.
        DataError: the index cannot be read, or no group can be compared.
        RemoteError: a server refuses.
    """
    if method_named(method).labels_at_test:
        raise UsageError(f"--method {method} needs the group of every query: take another one")
    with _scratch() as scratch:
        clock = _Clock()
        opened = opened_index(index, scratch, images=images, label=label, cluster=cluster)
        photos, units = opened.photos, opened.units
        for name in groups:
            if name not in photos.groups:
                raise unknown_name("group", name, photos.groups)
        if k >= len(photos):
            raise UsageError(f"--neighbours {k}: {opened.name} has {len(photos):,} vectors")
        matched_rows = matched_vectors(second, opened, scratch) if second else None
        clock.lap("read")
        asked = drawn_queries(photos, queries, seed)
        near = nearest_of(opened.vectors, units.index, asked, k)
        matched = None if matched_rows is None else nearest_of(matched_rows, units.index, asked, k)
        clock.lap("search")
        measured: list[Measured] = []
        left_out: dict[str, str] = {}
        for name, group in photos.groups.items():
            try:
                measured.append(measured_group(name, group, opened.label, units, asked, near, matched))
            except DataError as error:
                left_out[name] = str(error).removeprefix(name).lstrip(": ")
        control = control_of(opened.label, matched)
        judged = judge_index([m.neighbours for m in measured], control)
        order = np.argsort([-m.neighbours.value for m in measured], kind="stable")
        found = tuple((measured[i], judged[i]) for i in order)
        clock.lap("compare")
        result = IndexAudit(opened, k, asked, near, control, found, left_out, None, clock.seconds)
        names = list(groups) or list(result.found)
        if not (repair or groups) or not names:
            return result
        fixed = repaired(opened, names, asked, near, method=method, seed=seed)
        clock.lap("repair")
        return dataclasses.replace(result, repair=fixed)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for copies of vectors, in the system's folder of temporary files."""
    sweep_scratch()
    folder = Path(tempfile.mkdtemp(prefix=scratch_prefix()))
    try:
        yield folder
    except OSError as error:
        raise disk_error(error, folder) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Clock:
    """Seconds of stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage], self._last = now - self._last, now
