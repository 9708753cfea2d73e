"""Copies that are planted in the source of every builder, by the real commands: how many stand in several splits.

    python scripts/checks/planted_copies.py --photos DIR

Of 200 photos of DIR, 60 get a copy: 20 of the same bytes, 20 saved again at quality 60, 20 mirrored. Copies have
another name, owner and place. Each builder makes its set once without its guard, where it has an option for that, and
once with it; an original and its copy in different splits count.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from builders.__main__ import main as camtrace_build
from builders.data_specs import open_photos
from builders.errors import CamtraceError
from builders.flickrexif.assemble.build import BuildPlan, build
from builders.flickrexif.store.store import State
from builders.photos import SPLITS
from builders.pixels import decode_rgb
from builders.untrusted import files_below

ORIGINALS, COPIES = 200, 60
SUFFIXES = (".jpg", ".jpeg")

Photos = Mapping[int, bytes]
"""Originals by number; the copy of photo i is photo ``ORIGINALS + i``."""


def planted(root: Path) -> Photos:
    """Photos of a folder with planted copies, each with the Exif of one of two cameras."""
    names = [name for name in files_below(root) if name.lower().endswith(SUFFIXES)]
    photos: dict[int, bytes] = {}
    for name in sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest()):
        with contextlib.suppress(CamtraceError):
            image = decode_rgb((root / name).read_bytes())
            photos[len(photos)] = encoded(image, len(photos), 90)
        if len(photos) == ORIGINALS:
            break
    if len(photos) < ORIGINALS:
        raise SystemExit(f"{root}: {ORIGINALS} photos are needed, there are {len(photos)}")
    for i in range(COPIES):
        image = Image.open(io.BytesIO(photos[i]))
        mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        photos[ORIGINALS + i] = (photos[i], encoded(image, i, 60), encoded(mirrored, i, 90))[i % 3]
    return photos


def encoded(image: Image.Image, number: int, quality: int) -> bytes:
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x010F], exif[0x0110] = (("Canon", "Canon EOS 5D"), ("NIKON CORPORATION", "NIKON D90"))[number % 2]
    image.convert("RGB").save(stream, "JPEG", quality=quality, exif=exif)
    return stream.getvalue()


def write(root: Path, photos: Photos, form: str) -> Path:
    """Files of the photos. ``form`` has ``{n}``, ``{c}`` (one of five classes) and ``{s}`` (train, a fifth is val)."""
    for n, data in photos.items():
        split = "val" if hashlib.sha256(f"side {n}".encode()).digest()[0] < 51 else "train"
        path = root / form.format(n=f"{(7919 * n) % 100_003:06d}-{n}", c=n % ORIGINALS % 5, s=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def straddling(sides: Iterable[tuple[str, str]]) -> int:
    """Originals whose copy is in another split, from pairs of (a name that ends with -NUMBER, split)."""
    of: dict[int, set[str]] = {}
    for name, split in sides:
        stem = name.rpartition("-")[2].partition(".")[0]
        of.setdefault(int(stem) % ORIGINALS, set()).add(split)
    return sum(len(splits) > 1 for splits in of.values())


def shards(folder: Path, pattern: str = "*.parquet") -> Iterator[tuple[str, str]]:
    for path in folder.rglob(pattern):
        for name in pq.read_table(path, columns=["photo_id"])["photo_id"].to_pylist():
            yield name, path.name.partition("-")[0]


def processed(words: list[str], out: Path, policy: str) -> tuple[int, str]:
    """Copies across the splits of a build, and what the build says."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(io.StringIO()):
        status = camtrace_build([*words, "-o", str(out), "--workers", "1", "--duplicates", policy, "--ignore-space"])
    if status:
        raise SystemExit(f"camtrace build {' '.join(words)}: status {status}")
    message = [line for line in text.getvalue().splitlines() if line.startswith("duplicates: ")]
    return straddling(shards(out)), message[0].removeprefix("duplicates: ") if message else ""


def sources(root: Path, photos: Photos) -> dict[str, list[str]]:
    """The words of each command of ``build`` that makes processed photos, with its source written."""
    folder = write(root / "folder", photos, "c{c}/p-{n}.jpg")
    given = write(root / "given", photos, "{s}/c{c}/p-{n}.jpg")
    imagenet = write(root / "imagenet", photos, "{s}/n0000000{c}/p-{n}.JPEG")
    inat = write(root / "inat", photos, "train_val2018/Birds/{c}/{s}-{n}.jpg")
    names = [name for name in files_below(inat) if name.endswith(".jpg")]
    for split in ("train", "val"):
        listed = [name for name in names if f"/{split}-" in name]
        annotations = [{"id": i, "image_id": i, "category_id": int(n.split("/")[2])} for i, n in enumerate(listed)]
        document = {
            "images": [{"id": i, "file_name": name} for i, name in enumerate(listed)],
            "annotations": annotations,
            "categories": [{"id": c, "name": f"c{c}"} for c in range(5)],
        }
        (inat / f"{split}2018.json").write_text(json.dumps(document))
    return {
        "folder, drawn split": ["folder", "--data", str(folder)],
        "folder, given splits": ["folder", "--data", str(given)],
        "imagenet, given splits": ["imagenet", "--data", str(imagenet)],
        "inat2018, given splits": ["inat2018", "--data", str(inat)],
        "hub, drawn split": ["folder", "--data", f"hub:{hub(root / 'hub', photos)}?label=label&id=name"],
        "exif-folder, drawn split": ["folder", "--data", f"exif-folder:{folder}?min-photos=5"],
    }


def hub(root: Path, photos: Photos) -> Path:
    """A data set of one split as it is on the Hub."""
    from datasets import ClassLabel, Dataset, Features, Value
    from datasets import Image as ImageFeature

    features = Features({"image": ImageFeature(), "label": ClassLabel(names=list("abcde")), "name": Value("string")})
    rows: dict[str, list[Any]] = {
        "image": [{"bytes": data, "path": None} for data in photos.values()],
        "label": [n % ORIGINALS % 5 for n in photos],
        "name": [f"p-{n}" for n in photos],
    }
    (root / "data").mkdir(parents=True)
    Dataset.from_dict(rows, features=features).to_parquet(str(root / "data" / "train-00000-of-00001.parquet"))
    return root


def flickrexif(root: Path, photos: Photos) -> int:
    """Copies across the splits of a FlickrExif in which every photo has another owner."""
    with State(root / "state", create=True) as state:
        with state.transaction() as db:
            for n, data in photos.items():
                path = state.path_of(f"files/{n}.jpg")
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
                columns = "id, owner, source, urls, rank, selected"
                db.execute(f"INSERT INTO photos ({columns}) VALUES (?, ?, 'import', '{{}}', 0, 1)", (n + 1, f"{n}@N00"))
                values = (n + 1, f"files/{n}.jpg", hashlib.sha256(data).hexdigest(), len(data))
                columns = "photo_id, path, sha256, bytes, size, url, status, attempts, at"
                db.execute(f"INSERT INTO files ({columns}) VALUES (?, ?, ?, ?, 'o', '', 'ok', 1, 0)", values)
        build(state, BuildPlan(root / "out", attributes=("make",)))
    table = pq.read_table(next((root / "out" / "data" / "metadata").glob("*.parquet")))
    pairs = zip(table["photo_id"].to_pylist(), table["split"].to_pylist(), strict=True)
    return straddling((f"-{int(photo) - 1}", split) for photo, split in pairs)


def paircams(root: Path, photos: Photos) -> str:
    """Forty pairs of which ten are one file twice."""
    for i in range(40):
        for kind, data in (("phone", photos[i]), ("camera", photos[i if i % 4 == 0 else 40 + i])):
            path = root / "pairs" / f"{i:02d}" / f"{kind}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        words = ["paircams", "--data", str(root / "pairs"), "-o", str(root / "out"), "--workers", "1", "--ignore-space"]
        status = camtrace_build(words)
    reasons = [json.loads(line)["reason"] for line in (root / "out" / "failures.jsonl").read_text().splitlines()]
    rows = sum(pq.read_metadata(path).num_rows for path in (root / "out").rglob("*.parquet"))
    return (
        f"status {status}, {rows // 2} pairs in one split, {len(reasons)} left out ({', '.join(sorted(set(reasons)))})"
    )


def main() -> int:
    """Print a line for each builder; 1 if a copy is across splits where it should not be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="folder of photos, no two alike")
    photos = planted(parser.parse_args().photos)
    left = 0
    with tempfile.TemporaryDirectory(prefix="camtrace-copies-") as scratch:
        root = Path(scratch)
        os.environ["CAMTRACE_CACHE"] = str(root / "cache")
        for i, (name, words) in enumerate(sources(root, photos).items()):
            before, _ = processed(words, root / f"{i}-ignore", "ignore")
            after, message = processed(words, root / f"{i}-move", "move")
            checked = camtrace_build_check(root / f"{i}-move")
            print(f"{name}: {before} of {COPIES} across splits without the guard, {after} with it; check {checked}")
            print(f"    {message}", flush=True)
            if "given" in name:
                across, message = processed(words, root / f"{i}-keep", "keep")
                print(f"    keep: {across} across splits; {message}", flush=True)
            left += after
        opened = open_photos(f"exif-folder:{root / 'folder'}?min-photos=5")
        of_source = straddling((id, SPLITS[split]) for id, split in zip(opened.ids, opened.splits, strict=True))
        print(f"exif-folder as a source: {of_source} across splits", flush=True)
        across = flickrexif(root / "flickr", photos)
        print(f"flickrexif: {across} across splits, 260 owners", flush=True)
        print(f"paircams: {paircams(root / 'paircams', photos)}", flush=True)
    return int(bool(left or of_source or across))


def camtrace_build_check(folder: Path) -> str:
    """Whether ``build check`` of a folder passes."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return "failed" if camtrace_build(["check", str(folder)]) else "passed"


if __name__ == "__main__":
    sys.exit(main())
