"""Per-photo answers of a finished run, read back: one value per photo for each score, so that runs can be paired."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.knn import SETUPS
from benchmark.results.files import find_runs
from benchmark.results.schema import Result, read_result
from benchmark.retrieval import PairAnswers
from builders.errors import DataError

MAX_ANSWERS_BYTES = 8 << 30
"""Of one array once unpacked: ImageNet's probe predictions with 10 fits of 6 classes are 3 MB."""


@dataclass(frozen=True, eq=False)
class PhotoValues:
    """One score by photo; the mean over photos is the score."""

    photos: np.ndarray
    """[n], what the values belong to: indices into the photo set, or pair ids."""
    values: np.ndarray
    """float64 [n]."""
    bounds: tuple[float, float]
    """The range of a value: (0, 1) for shares, (-1, 1) for differences."""
    clusters: np.ndarray | None = None
    """[n], what each photo belongs to where such photos err together; ``None`` where photos stand alone."""


@dataclass(frozen=True, eq=False)
class Run:
    """One finished result with its per-photo answers."""

    folder: Path
    result: Result
    answers: Mapping[tuple[str, str], PhotoValues]
    """By task and metric."""

    @property
    def encoder(self) -> str:
        return str(self.result.encoder["id"])

    @property
    def data(self) -> str:
        return str(self.result.data["name"])


def read_runs(folder: Path) -> list[Run]:
    """Every run in a folder: itself, or all below it, in the order of paths.

    Raises:
        DataError: there is none, or one cannot be read.
    """
    found = find_runs(folder)
    if not found:
        raise DataError(f"{folder}: there is no result.json; give the --output of a run")
    return [read_run((folder / file).parent) for file in found]


def read_run(folder: Path) -> Run:
    """One run: ``result.json`` and, where it is there, ``answers.npz``.

    Raises:
        DataError: a file cannot be read, or answers do not fit the scores.
    """
    result = read_result(folder / "result.json")
    path = folder / "answers.npz"
    if not path.is_file():
        return Run(folder, result, {})
    try:
        with zipfile.ZipFile(path) as archive:
            largest = max((member.file_size for member in archive.infolist()), default=0)
        if largest > MAX_ANSWERS_BYTES:
            raise DataError(f"{path}: an array of {largest / 1e9:.0f} GB")
        with np.load(path, allow_pickle=False) as arrays:
            answers = photo_values({name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}: {error})") from None
    return Run(folder, result, answers)


def photo_values(arrays: Mapping[str, np.ndarray]) -> dict[tuple[str, str], PhotoValues]:
    """The values by photo of each task and metric, from the arrays that tasks keep.

    >>> predicted = np.array([[[0, 1], [1, 1]]], dtype=np.uint8)  # one fit, two classes, two photos
    >>> arrays = {"probe/toy/predicted": predicted, "probe/toy/photos": np.array([4, 7])}
    >>> photo_values(arrays)["probe/toy", "accuracy"].values.tolist()
    [1.0, 0.5]
    """
    tasks = dict.fromkeys(name.rsplit("/", 1)[0] for name in arrays)
    found: dict[tuple[str, str], PhotoValues] = {}
    for task in tasks:
        own = {name.rsplit("/", 1)[1]: array for name, array in arrays.items() if name.rsplit("/", 1)[0] == task}
        reader = {"probe": _probe, "knn": _knn, "retrieval": _retrieval}.get(task.partition("/")[0])
        if reader is not None:
            found.update({(task, metric): values for metric, values in reader(own)})
    return found


def _probe(own: Mapping[str, np.ndarray]) -> Iterator[tuple[str, PhotoValues]]:
    predicted = own["predicted"]  # [fits, views, photos]
    if "expected" in own:
        expected = own["expected"]
    elif predicted.shape[1] > 1:  # a processing probe: view i shows class i
        expected = np.arange(predicted.shape[1])[:, None]
    else:
        return  # an acquisition probe whose true classes were not kept: nothing can be paired
    yield (
        "accuracy",
        PhotoValues(own["photos"], (predicted == expected).mean(axis=(0, 1)), (0.0, 1.0), own.get("clusters")),
    )


def _knn(own: Mapping[str, np.ndarray]) -> Iterator[tuple[str, PhotoValues]]:
    shares = {
        name: own["correct"][i] / own["combinations"][i] for i, name in enumerate(SETUPS) if own["combinations"][i]
    }
    for name, values in shares.items():
        yield name, PhotoValues(own["photos"], values, (0.0, 1.0))
    if "pos-same" in shares:
        yield "spd", PhotoValues(own["photos"], shares["pos-same"] - shares["neg-same"], (-1.0, 1.0))


def _retrieval(own: Mapping[str, np.ndarray]) -> Iterator[tuple[str, PhotoValues]]:
    pairs = own["pair_ids"]
    answers = PairAnswers(tuple(pairs.tolist()), ("a", "b"), own["nearer"], own["tied"])
    for name, values in answers.per_pair().items():
        if "-to-" not in name:  # the names of the two camera types are not kept
            yield name, PhotoValues(pairs, values, (-1.0, 1.0) if name == "spd" else (0.0, 1.0))
