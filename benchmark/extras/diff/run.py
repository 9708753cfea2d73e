"""``diff``: load the encoder of each way, choose the weakest trace, embed the photos in every way, and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.compute import library_version
from benchmark.encoders import Encoder, StoredEmbeddings
from benchmark.extras.diff.embed import Embedded, Encoders, Lane, Pass, embed_photos
from benchmark.extras.diff.judged import paths_rule
from benchmark.extras.diff.measures import cosine_moved
from benchmark.extras.diff.paths import PathSpec, Transform, parse_path, steps_between
from benchmark.extras.diff.result import Diff
from benchmark.extras.diff.rows import Comparer, Photos, rows_of
from benchmark.options import DEFAULT_MODEL
from benchmark.stats import error_units
from benchmark.views import ORIGINAL
from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet, hash64
from builders.pixels import STUDY_PROCESSINGS
from builders.processes import notice, progress_bar

BATCH, OTHER_BATCH = 64, 7
"""Views of a forward pass, and of that of the noise floor."""

SAMPLE = 64
"""Photos on which the weakest trace is chosen."""

NOISE = f"A again, {OTHER_BATCH} photos at a time"
"""Name of the row of the noise floor."""

SHOWN = 12
"""Photos that are named as moved most."""

PathLike = str | Mapping[str, str] | Transform | PathSpec


def diff(
    model: str | Encoder = DEFAULT_MODEL,
    data: str | PhotoSet = "sample",
    *,
    a: PathLike = "",
    b: PathLike | Sequence[PathLike],
    limit: int | None = None,
    neighbours: int | None = None,
    at_most: float = 1.0,
    seed: int = 0,
    device: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    cache: str | Path | None = None,
    progress: bool = True,
) -> Diff:
    """Compare ways to the embeddings of the same photos, in units of the encoder's weakest trace.

    Args:
        model: an encoder by its specification, or in memory.
        data: a data specification or a photo set.
        a: the first way: steps such as ``"decoder=pillow,resize=own"``, a mapping of them, or a function from an RGB
            ``PIL.Image`` to the network's input. By default what camtrace does.
        b: the other way, or several of them; steps that are not given are those of ``a``.
        limit: most photos, balanced between classes.
        neighbours: nearest neighbours that are compared and that vote; by default 10, or as many as the data set says.
        at_most: limit of a way, in weakest traces.
        seed: of the split and the draw of photos.
        device: of the networks.
        revision: of a Hub repo.
        trust_remote_code: run code that comes with a Hub repo.
        cache: folder of compiled networks.
        progress: whether to show bars, where stderr is a terminal.

    Returns:
        A row for each way and, if it differs from ``a`` in several steps, for each step alone.

    Raises:
        UsageError: an unknown step or value, or a missing package.
        EncoderError: an encoder cannot be loaded or run.
        DataError: no photo can be embedded in every way.

    >>> result = diff("control:random-projection", "sample", b="decoder=pillow", limit=12, progress=False)
    >>> result.rows[0].identical, result.rows[0].cosine.value, result.passed()
    (True, 0.0, True)
    """
    if limit is not None and limit < 3:
        raise UsageError(f"limit {limit}: at least 3 photos are needed")
    if neighbours is not None and neighbours < 1:
        raise UsageError(f"neighbours {neighbours}: at least 1 is needed")
    if not at_most > 0:
        raise UsageError(f"at most {at_most:g}: give a number above 0, in weakest traces")
    first = parse_path(a)
    given: list[Any] = list(b) if isinstance(b, list | tuple) else [b]
    others = [parse_path(each, first) for each in given]
    if not others:
        raise UsageError("which other way? give b, such as 'decoder=opencv'")
    paths = [first, *others]
    encoders = Encoders(
        model,
        torch_only=any(path.transform is not None for path in paths),
        **{"device": device, "revision": revision, "trust_remote_code": trust_remote_code, "cache": cache},
    )
    photos = open_photos(data, seed) if isinstance(data, str) else data
    photos = photos if limit is None else photos.limited(limit, seed)
    if photos.stored_views:
        raise UsageError(f"{photos.name} holds processed photos: give the photos themselves")
    lanes = {"A": (Lane("A", first, encoders.of(first), BATCH), "first")}
    lanes |= _ways(first, others, encoders)
    usable, failures = _with_embeddings(photos, [lane for lane, _ in lanes.values()])
    if any(lane.encoder.stored is None for lane, _ in lanes.values()):
        photos.require_pictures("camtrace diff")
    if lanes["A"][0].encoder.stored is None:
        lanes[NOISE] = (Lane(NOISE, first, lanes["A"][0].encoder, OTHER_BATCH), "noise")
    distances, processing = _weakest(photos, usable, lanes["A"][0], progress)
    if processing:
        name = f"weakest trace: {processing}"
        lanes[name] = (Lane(name, first, lanes["A"][0].encoder, BATCH, processing), "trace")
    done = _embedded(photos, usable, [lane for lane, _ in lanes.values()], "embedding", progress)
    failures |= done.failures
    if len(done.photos) < 3:
        reason = next(iter(failures.values()), "there are too few")
        raise DataError(f"{photos.name}: {len(done.photos)} photos can be embedded in every way ({reason})")
    comparer = Comparer(
        done.lanes["A"],
        Photos(
            photos.labels.values[done.photos],
            error_units(photos.columns, done.photos),
            min(neighbours or photos.neighbours, len(done.photos) - 1),
        ),
    )
    compared = {name: way for name, way in lanes.items() if name != "A"}
    measures = {name: comparer.measured(done.lanes[name]) for name in compared}
    rows = rows_of(compared, measures, comparer, at_most=at_most)
    return Diff(
        encoder=lanes["A"][0].encoder.info.id,
        data=photos.name,
        a=first.text(),
        rows=tuple(rows),
        n=len(done.photos),
        units=comparer.photos.units.count,
        neighbours=comparer.photos.k,
        trace=processing,
        distances=distances,
        at_most=at_most,
        moved_most=_moved_most(measures[rows[0].name].cosine, [photos.ids[i] for i in done.photos]),
        left_out={photos.ids[index]: reason for index, reason in failures.items()},
        rule=paths_rule(sum(row.kind in ("path", "step") for row in rows)),
        versions=_versions(lane for lane, _ in lanes.values()),
    )


def _moved_most(cosine: np.ndarray | None, ids: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Ids of the photos that a way moves most, with their distances."""
    if cosine is None:
        return ()
    order = np.argsort(-cosine, kind="stable")[:SHOWN]
    return tuple((ids[i], float(cosine[i])) for i in order if cosine[i] > 0)


def _ways(first: PathSpec, others: Sequence[PathSpec], encoders: Encoders) -> dict[str, tuple[Lane, str]]:
    """The requested ways, and each step of those that differ in several."""
    ways: dict[str, tuple[Lane, str]] = {}
    for path in others:
        name = path.text(first)
        ways[name] = (Lane(name, path, encoders.of(path), BATCH, path.processing), "path")
    for path in others:
        for name, step in steps_between(first, path).items():
            if name in ways:
                continue
            try:
                ways[name] = (Lane(name, step, encoders.of(step), BATCH, step.processing), "step")
            except UsageError as error:
                notice(f"{name} cannot be measured alone: {error}")
    return ways


def _with_embeddings(photos: PhotoSet, lanes: Sequence[Lane]) -> tuple[np.ndarray, dict[int, str]]:
    """The photos of which every file of embeddings has one, and why others are left out."""
    failures: dict[int, str] = {}
    for lane in lanes:
        if lane.encoder.stored is not None:
            _, missing = lane.encoder.stored.of(ORIGINAL, photos.ids)
            lacking = set(missing)
            at = [i for i, photo_id in enumerate(photos.ids) if photo_id in lacking]
            failures |= dict.fromkeys(at, f"{lane.encoder.stored.name} has no embedding of it")
    return np.array([i for i in range(len(photos)) if i not in failures], np.int64), failures


def _embedded(photos: PhotoSet, indices: np.ndarray, lanes: Sequence[Lane], what: str, progress: bool) -> Pass:
    """``embed_photos``, with the embeddings of files."""
    computed = [lane for lane in lanes if lane.encoder.stored is None]
    if computed:
        with progress_bar(total=len(indices), desc=what, unit="photo", delay=2, silent=not progress) as bar:
            done = embed_photos(photos, indices, computed, bar.update)
    else:
        done = Pass(indices, {}, {})
    ids = [photos.ids[i] for i in done.photos]
    read = {
        lane.name: _from_file(lane.encoder.stored, lane.processing, ids)
        for lane in lanes
        if lane.encoder.stored is not None
    }
    return Pass(done.photos, {**done.lanes, **read}, done.failures)


def _from_file(stored: StoredEmbeddings, processing: str, ids: Sequence[str]) -> Embedded:
    rows, missing = stored.of(processing or ORIGINAL, ids)
    if missing:
        raise DataError(f"{stored.name} has no embedding of {missing[0]} under {processing}, and of others")
    return Embedded(rows, None, None)


def _weakest(photos: PhotoSet, usable: np.ndarray, first: Lane, progress: bool) -> tuple[dict[str, float], str]:
    """Mean cosine distance of each processing on a sample of the photos, and the processing of the least above 0."""
    hashes = [hash64(f"diff\0{photos.ids[i]}") for i in usable]
    sample = usable[np.sort(np.argsort(hashes, kind="stable")[:SAMPLE])]
    names: Sequence[str] = STUDY_PROCESSINGS
    if first.encoder.stored is not None:
        names = [name for name in names if name in first.encoder.stored.rows]
    if not names or not len(sample):
        return {}, ""
    lanes = [first, *(Lane(name, first.path, first.encoder, BATCH, name) for name in names)]
    done = _embedded(photos, sample, lanes, "weakest trace", progress)
    if not len(done.photos):
        return {}, ""
    reference = done.lanes[first.name].rows
    distances = {name: float(cosine_moved(reference, done.lanes[name].rows).mean()) for name in names}
    moving = {name: distance for name, distance in distances.items() if distance > 0}
    return distances, min(moving, key=moving.__getitem__, default="")


def _versions(lanes: Any) -> dict[str, str]:
    """Versions of the libraries that took part."""
    packages = {"pillow", "numpy", "torch"}
    of_step = {
        "opencv": "opencv-python-headless",
        "torchvision": "torchvision",
        "simplejpeg": "simplejpeg",
        "timm": "timm",
        "open_clip": "open_clip_torch",
        "transformers-slow": "transformers",
        "transformers-fast": "transformers",
    }
    for lane in lanes:
        packages |= {of_step[name] for name in (lane.path.decoder, lane.path.library) if name in of_step}
        if lane.encoder.runtime is not None:
            packages.add(lane.encoder.runtime.name)
    versions = {name: library_version(name) for name in sorted(packages)}
    return {name: version for name, version in versions.items() if version}
