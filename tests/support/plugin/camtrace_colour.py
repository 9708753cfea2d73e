"""A task, encoders and data for camtrace."""

import io

import numpy as np
from PIL import Image

from benchmark.results import Family, Metric, PhotoValues, Score
from benchmark.stats import photo_interval
from benchmark.tasks import Task, TaskInput, TaskOutcome
from builders.data_specs import DataSpec, Kind
from builders.errors import UsageError
from builders.photos import PhotoSet


def open_colours(spec: DataSpec, seed: int) -> PhotoSet:
    """Small flat pictures, half of them reddish and half bluish; a third of them are test photos."""
    rng, photos, labels = np.random.default_rng(seed), {}, []
    for i in range(spec.whole("count", 60)):
        colour = (*rng.integers(80, 256, 1), *rng.integers(0, 120, 2))
        with io.BytesIO() as file:
            Image.new("RGB", (32, 24), colour if i % 2 else colour[::-1]).save(file, "PNG")
            photos[f"{i}.png"] = file.getvalue()
        labels.append("red" if i % 2 else "blue")
    splits = ["val" if i % 3 == 0 else "train" for i in range(len(photos))]
    return PhotoSet.of_bytes("colours", photos, labels, splits)


KIND = Kind(
    "colours[?count=N]",
    "flat pictures, red or blue",
    open_colours,
    ("count",),
    location="none",
    is_local=lambda spec: False,
)


def encoder(name: str):
    """``colour:mean`` and ``colour:median``: from an RGB ``PIL.Image`` to a vector; a module would do too."""
    statistics = {"mean": np.mean, "median": np.median}
    if name not in statistics:
        raise UsageError(f"colour:{name}: give colour:mean or colour:median")

    def encode(image):
        return statistics[name](np.asarray(image, np.float32), (0, 1))

    encode.cache_key = f"{name}, 1"
    return encode


FAMILY = Family(
    name="colour",
    title="Nearest photo",
    explain="Whether the nearest other photo is of the same class.",
    about="processing",
    header="nearest photo",
    layout="metrics",
    panel="intervals",
)


def same_class(embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 [n]: 1 where the nearest other row by cosine has the same label."""
    rows = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    similarities = rows @ rows.T
    np.fill_diagonal(similarities, -np.inf)
    return (labels[similarities.argmax(1)] == labels).astype(np.float64)


def run(given: TaskInput) -> TaskOutcome:
    photos = given.indices("val")
    labels = given.photos.labels.values[photos]
    values = same_class(given.view("original", photos)[0 : len(photos)], labels)
    interval, chance = photo_interval(values), float((np.bincount(labels) / len(labels)).max())
    shown = (float(values.mean()), interval.low, interval.high, len(photos), chance)
    score = Score("colour/nearest", given.photos.name, "accuracy", *shown)
    return TaskOutcome((score,), {"correct": values, "photos": photos})


def plain_views(photos, options):
    from benchmark.views import PlainViews

    return PlainViews()


TASKS = [
    Task(
        name="colour/nearest",
        family=FAMILY,
        title="Nearest",
        explain="Which photos show the same class.",
        summary="is the nearest photo of the same class?",
        metrics=(Metric("accuracy", "Accuracy", "Share of photos.", "accuracy", "the class's share", headline=True),),
        recipe=plain_views,
        unfit=lambda photos: "" if len(photos.labels.names) > 1 else "its photos have no classes",
        run=run,
        read_answers=lambda stored: {"accuracy": PhotoValues(stored["photos"], stored["correct"], (0.0, 1.0))},
    )
]
