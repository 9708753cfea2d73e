"""Small data sets in the forms of others, scores by item, embeddings in files and answers: inputs of the campaign."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from builders.pixels import PROCESSINGS
from tests.support.camera_sets import DOUBLES, tarred, tree_of, write_tree
from tests.support.layouts import write_layout

LOGS = Path(__file__).resolve().parents[4] / "tests" / "benchmark" / "extras" / "items" / "logs"

LAYOUTS = {
    "genimage": "{BigGAN,SDv14}/{train,val}/{ai,nature}/{0..3}.png",
    "univfd": "{biggan,progan}/{train,val}/{0_real,1_fake}/{0..3}.png",
    "imagenet": "{train,val}/{n01440764,n01443537}/{0..5}.JPEG",
}
"""Folder layouts by kind of data."""

TABLES = ("csv", "tsv", "parquet", "jsonl", "json", "xlsx")
"""Forms of scores by item."""


def write_data_sets(folder: Path, photos: Path) -> None:
    """Write ``sets``, ``items``, ``vectors``, ``answers`` and ``vlm`` below a folder.

    Args:
        folder: of the inputs.
        photos: JPEG files below ``SPLIT/CLASS``.
    """
    from tests.support.vision_language import make_checkpoint

    files = sorted(photos.rglob("*.jpg"))
    _write_sets(folder / "sets", files)
    shutil.copytree(LOGS, folder / "items")
    _write_tables(folder / "items")
    names = [path.relative_to(photos).as_posix() for path in files]
    _write_vectors(folder / "vectors", names)
    _write_answers(folder / "answers", [name for name in names if name.startswith("val/")])
    make_checkpoint("llava", folder / "vlm")


def _write_sets(folder: Path, files: Sequence[Path]) -> None:
    for kind in DOUBLES:
        write_tree(folder / kind, tree_of(kind))
    for kind, pattern in LAYOUTS.items():
        write_layout(folder / kind, pattern)
    for number in range(2):
        tree: dict[str, bytes] = {}
        for i, path in enumerate(files[number::2]):
            tree |= {
                f"{number}{i:03}.jpg": path.read_bytes(),
                f"{number}{i:03}.cls": str(i % 2).encode(),
                f"{number}{i:03}.json": json.dumps(
                    {"side": ("train", "val")[i // 2 % 2], "site": f"s{i % 3}"}
                ).encode(),
            }
        write_tree(folder / "webdataset", {f"photos-{number:03}.tar": tarred(tree)})
    for path in files[:4]:
        write_tree(folder / "scenes", {path.name: path.read_bytes()})


def _write_tables(folder: Path) -> None:
    import pandas as pd

    for name, seed in (("old", 0), ("new", 1)):
        right = np.random.default_rng(seed).integers(0, 2, 40)
        frame = pd.DataFrame(
            {"id": [f"q{i}" for i in range(40)], "right": right, "topic": [f"t{i % 7}" for i in range(40)]}
        )
        buffer = io.BytesIO()
        frame.to_excel(buffer, index=False)
        frame.to_parquet(folder / f"{name}.parquet")
        texts = {
            "csv": frame.to_csv(index=False).encode(),
            "tsv": frame.to_csv(index=False, sep="\t").encode(),
            "jsonl": frame.to_json(orient="records", lines=True).encode(),
            "json": frame.to_json(orient="records").encode(),
            "xlsx": buffer.getvalue(),
        }
        write_tree(folder, {f"{name}.{form}": data for form, data in texts.items()})


def _write_vectors(folder: Path, names: Sequence[str]) -> None:
    import pyarrow
    import pyarrow.parquet

    folder.mkdir()
    for name, seed in (("old", 0), ("new", 1)):
        rows = np.random.default_rng(7).normal(size=(len(names), 8)) + np.random.default_rng(seed).normal(size=8) / 9
        table = pyarrow.table({"id": list(names), "embedding": rows.astype(np.float32).tolist()})
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")


def _write_answers(folder: Path, names: Sequence[str]) -> None:
    views = ("original", "png", *(name for name in PROCESSINGS if name.startswith("jpeg-")))
    rows = [
        {"photo_id": name, "view": view, "question_id": "1", "logits": [(i + j) % 3 - 1.0, 0.25]}
        for i, name in enumerate(names)
        for j, view in enumerate(views)
    ]
    questions = [
        {"photo_id": name, "question_id": "1", "text": "Is there a cat?", "options": ["yes", "no"], "right": "yes"}
        for name in names
    ]
    for name, lines in (("answers", rows), ("questions", questions)):
        write_tree(folder, {f"{name}.jsonl": "\n".join(map(json.dumps, lines)).encode()})
