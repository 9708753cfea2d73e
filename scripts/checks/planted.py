"""Cases without an effect, or with a known one, by the real command: how often it says what is not so.

    python -m scripts.checks.planted [CASE ...] [--sets 100] [--seed 0]

Each case writes a small data set in which the truth is known, runs ``camtrace`` on it, and searches what is printed for
a false claim. A claim at 5 % may be false in 10 of 100 sets, 17 of 200, or 23 of 300: the 97.5 % quantiles of the
binomial distribution.

- ``bursts``, ``-30``: 90 or 30 bursts of 6 nearly equal photos, makes drawn by burst: "make is still read".
- ``constant-80``, ``constant-70``: embeddings without information, of a group whose most frequent class has 80 % of the
  photos, or 70 % of the test photos and 49 % of the train photos: "is still read", "can be read".
- ``null-readers``: three readers of noise: "is still read".
- ``equal-outputs``: eight outputs of a network, equally good: "is less at equal semantics".
- ``fewer-answers``: an output with less of the trace and one right answer fewer: "no output has less of it".
- ``owners-20``, ``-40``, ``-60``: an audit of owners whose files differ, whatever the label: a confound.
- ``classes-50``, ``-100``, ``-1000``: an audit with the V that it claims to find: not found, allowed in 20 %.
- ``jitter``: an encoder that each processing moves at random: "goes further than jitter".
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import itertools
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
import torch
from PIL import Image
from scipy.stats import binom
from tqdm import tqdm

from tests.benchmark.audit.planted import exif, jpeg, picture

ENCODERS = """
import hashlib
import numpy as np

MARK = [100, 140] * 4

def thumbnail(image):
    return np.asarray(image.convert("L").resize((8, 8)), dtype=np.float32).reshape(-1) - 128

def shaken(image):
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    content = np.asarray(image.convert("RGB").resize((8, 8), 4), dtype=np.float32).reshape(-1) - 128  # mean of blocks
    unit = content / np.linalg.norm(content)
    if (pixels[0, :8, 0] == MARK).all():  # as it was, unprocessed
        return unit
    seed = int.from_bytes(hashlib.sha256(pixels.tobytes()).digest()[:8], "little")
    noise = np.random.default_rng(seed).standard_normal(unit.shape)
    return (unit + noise / np.linalg.norm(noise)).astype(np.float32)

thumbnail.cache_key = "thumbnail 1"
shaken.cache_key = "shaken 1"
"""
"""Functions that the commands name as ``planted_encoders:FUNCTION``."""


def printed(*words: str | Path) -> str:
    """What ``camtrace`` prints, as one line; it has to end well."""
    from benchmark.__main__ import camtrace

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = camtrace([str(word) for word in words])
    if status:
        raise RuntimeError(f"camtrace {' '.join(map(str, words))}: status {status}: {out.getvalue()}")
    return " ".join(out.getvalue().split())


def run_options(folder: Path) -> tuple[str | Path, ...]:
    return ("--output", folder / "out", "--cache", folder / "cache", "--workers", "0")


def write_table(path: Path, columns: Mapping[str, Iterable[object]]) -> None:
    """A CSV of columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_embeddings(path: Path, rows: np.ndarray) -> list[str]:
    """Embeddings of ``p0``, ``p1``, ... as Parquet; the ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = [f"p{i}" for i in range(len(rows))]
    pq.write_table(pa.table({"photo_id": ids, "embedding": rows.astype(np.float32).tolist()}), path)
    return ids


def claimed(text: str, claim: str) -> bool:
    """Whether a claim is made: its words, not behind "whether"."""
    return re.search(rf"(?<!hether ){claim}", text) is not None


def bursts(rng: np.random.Generator, folder: Path, count: int = 90) -> bool:
    """Makes of bursts, drawn without regard to the pictures."""
    makes = rng.permutation(np.arange(count) % 2)
    for burst, make in enumerate(makes):
        first = np.asarray(picture(rng), dtype=np.float32)
        for shot in range(6):
            pixels = Image.fromarray(np.clip(first + rng.normal(0, 3, first.shape), 0, 255).astype(np.uint8))
            tags = exif(Make=("Canon", "NIKON")[make], Model=("Canon EOS 5D", "NIKON D90")[make])
            path = folder / "photos" / f"{burst:02d}{shot}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(jpeg(pixels, exif=tags))
    words = ("--model", "planted_encoders:thumbnail", "--data", f"exif-folder:{folder / 'photos'}?min-photos=10")
    return claimed(printed("erase", *words, "--trace", "make", *run_options(folder)), "make is still read by")


def erased_noise(
    rng: np.random.Generator, folder: Path, train: Sequence[float], test: Sequence[float], photos: int, dimension: int
) -> bool:
    """Whether a reader reads a group from noise before or after erasing; classes have these shares of either split."""
    groups, splits = [], []
    for split, shares, count in (("train", train, photos), ("val", test, photos // 2)):
        sizes = np.round(count * np.asarray(shares)).astype(int)
        groups += rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).tolist()
        splits += [split] * int(sizes.sum())
    ids = write_embeddings(folder / "E.parquet", rng.normal(size=(len(groups), dimension)))
    columns = {"photo": ids, "site": [f"site {g}" for g in groups], "split": splits}
    write_table(folder / "T.csv", columns)
    data = (
        "--model",
        f"embeddings:{folder}/E.parquet",
        "--data",
        f"table:{folder}/T.csv?id=photo&group=site&split=split",
    )
    before = printed("score", *data, "-t", "probe/site", *run_options(folder))
    after = printed("erase", *data, "--trace", "site", *run_options(folder))
    return claimed(after, "site is still read by") or "Readable from the embedding: site" in before


def still_read_noise(rng: np.random.Generator, folder: Path) -> bool:
    """Three readers of a balanced group: only what erasing says."""
    ids = write_embeddings(folder / "E.parquet", rng.normal(size=(240, 8)))
    columns = {"photo": ids, "site": rng.permutation(np.arange(240) % 2)}
    write_table(folder / "T.csv", columns)
    data = ("--model", f"embeddings:{folder}/E.parquet", "--data", f"table:{folder}/T.csv?id=photo&group=site")
    return claimed(printed("erase", *data, "--trace", "site", *run_options(folder)), "site is still read by")


SIDE = 16
"""Of pictures that hold embeddings, in pixels."""


class Parts(torch.nn.Module):
    """A network whose blocks give the parts of a picture, one row of pixels each; the last part is the embedding."""

    def __init__(self, parts: int, width: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(Part(at) for at in range(parts))
        self.width = width

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        grey = image.convert("L").crop((0, 0, SIDE, SIDE))
        return torch.from_numpy(np.asarray(grey, dtype=np.float32) / 128 - 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows = pixels[:, : len(self.layers), : self.width]
        tokens = rows[:, :1].repeat(1, 4, 1)
        for layer in self.layers:
            tokens = layer(tokens, rows)
        return tokens.mean(dim=1)


class Part(torch.nn.Module):
    """A block: each of four tokens is one row of pixels."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def forward(self, tokens: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return rows[:, self.at : self.at + 1].expand_as(tokens)


def scored_parts(folder: Path, parts: np.ndarray, label: np.ndarray, site: np.ndarray, splits: list[str]) -> str:
    """The report about the outputs of a network whose embeddings are ``parts`` [outputs, photos, width], within -1..1.

    The table has the label, a group ``site`` and splits.
    """
    import camtrace

    outputs, photos, width = parts.shape
    rng = np.random.default_rng(0)
    for i in range(photos):
        pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        pixels[:outputs, :width] = np.clip(np.round(128 + 127 * parts[:, i]), 0, 255)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    columns = {"image": [f"{i}.png" for i in range(photos)], "label": label, "site": site, "split": splits}
    write_table(folder / "T.csv", columns)
    camtrace.score(
        Parts(outputs, width).eval(),
        data=f"table:{folder}/T.csv?image=image&label=label&group=site&split=split",
        tasks=["probe/site", "knn/original"],
        outputs="layers:mean",
        cache=folder / "cache",
        workers=0,
        output=folder / "out",
    )
    return " ".join((folder / "out" / "report.md").read_text("utf-8").split())


def equal_outputs(rng: np.random.Generator, folder: Path) -> bool:
    """Eight outputs with the same label, always right, and the same group, each with noise of its own."""
    label, site = np.arange(700) % 2, np.arange(700) // 2 % 2
    directions = rng.normal(size=(2, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    signal = (2 * label - 1)[:, None] * directions[0] * 6 + (2 * site - 1)[:, None] * directions[1]
    parts = (signal + rng.normal(size=(8, 700, 6))) / 12
    text = scored_parts(folder, parts, label, site, ["train"] * 200 + ["val"] * 500)
    return "is less at equal semantics in" in text


def fewer_answers(rng: np.random.Generator, folder: Path) -> bool:
    """A layer with a third of the trace and one right answer of 60 fewer: nobody may say that none has less."""
    label, site = np.arange(180) % 2, np.arange(180) // 2 % 2
    splits = ["train"] * 120 + ["val"] * 60
    content = np.zeros((180, 6))
    content[:, 0], content[:, 1] = 2.0 * (2 * label - 1), 1.0 * (2 * site - 1)
    noise = 0.5 * rng.normal(size=(180, 6))
    less = content * [1, 1 / 3, 1, 1, 1, 1]
    less[int(rng.integers(120, 180)), 0] *= -1
    parts = np.stack([less + noise, content + noise]) / 5
    return "no output has less of it" in scored_parts(folder, parts, label, site, splits)


def audited_owners(rng: np.random.Generator, folder: Path, owners: int) -> bool:
    """Owners with a quality and a program each, labels by owner, drawn apart."""
    label = rng.permutation(np.arange(owners) % 2)
    qualities, programs = rng.integers(60, 96, owners), rng.integers(0, 4, owners)
    columns: dict[str, list[object]] = {"image": [], "label": [], "owner": []}
    for owner, shot in itertools.product(range(owners), range(8)):
        name = f"{owner}-{shot}.jpg"
        tags = exif(Software=f"Program {programs[owner]}")
        (folder / name).write_bytes(jpeg(picture(rng, 32), int(qualities[owner]), exif=tags))
        for column, value in zip(columns.values(), (name, f"class {label[owner]}", f"owner {owner}"), strict=True):
            column.append(value)
    write_table(folder / "T.csv", columns)
    text = printed("audit", f"table:{folder}/T.csv?image=image&label=label&cluster=owner", "--output", folder / "out")
    return "No confound was found" not in text


def audited_classes(rng: np.random.Generator, folder: Path, classes: int) -> bool:
    """An association as strong as the audit says that it finds, between two qualities and the classes: not found."""
    photos = max(2000, 4 * classes)
    label = np.arange(photos) % classes
    if not (folder.parent / "pool").exists():
        (folder.parent / "pool").mkdir()
        pictures = [picture(rng, 24) for _ in range(40)]
        encoded = {(i, quality): jpeg(pictures[i], quality) for i in range(40) for quality in (75, 90)}
        for i, quality in itertools.product(range(photos), (75, 90)):
            end = f"{i}".encode()  # behind the end of the picture, so that no two files are equal
            (folder.parent / f"pool/{i}-{quality}.jpg").write_bytes(encoded[i % 40, quality] + end)

    def audit(strength: float) -> str:
        share = (1 + strength * (2 * (label % 2) - 1)) / 2
        quality = np.where(rng.random(photos) < share, 75, 90)
        names = [f"{i}-{q}.jpg" for i, q in enumerate(quality)]
        write_table(folder / "T.csv", {"image": names, "label": [f"class {c}" for c in label]})
        data = f"table:{folder}/T.csv?image=image&label=label&root={folder.parent}/pool"
        return printed("audit", data, "--output", folder / "out")

    silent = audit(0.0)
    claim = re.search(r"An association of V = (\d\.\d+) or more", silent)
    if claim is None:
        raise RuntimeError(f"the audit claims nothing: {silent}")
    return "No confound was found" in audit(float(claim[1]))


def shaken(rng: np.random.Generator, folder: Path) -> bool:
    """Content, and a jitter that each processing draws anew: the worst of 14 is that of 14 jitters."""
    colours = rng.integers(40, 216, (6, 4, 4, 3))
    for i in range(90):
        blocks = np.clip(colours[i % 6] + rng.normal(0, 90, (4, 4, 3)), 0, 255).astype(np.uint8)
        path = folder / "photos" / ("train" if i < 60 else "val") / f"class {i % 6}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = blocks.repeat(12, axis=0).repeat(12, axis=1)
        pixels[0, :8] = np.array([100, 140] * 4)[:, None]  # the encoder knows from it what is unprocessed
        Image.fromarray(pixels).save(path)
    words = ("--model", "planted_encoders:shaken", "--data", f"folder:{folder / 'photos'}", "-t", "knn/adversary")
    return claimed(printed("score", *words, *run_options(folder)), "processing goes further than jitter")


@contextlib.contextmanager
def importable_encoders(folder: Path) -> Iterable[None]:
    """``planted_encoders`` can be imported, here and by workers."""
    (folder / "planted_encoders.py").write_text(ENCODERS)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("planted_encoders", None)


CASES: Mapping[str, Callable[[np.random.Generator, Path], bool]] = {
    "bursts": bursts,
    "constant-80": partial(erased_noise, train=(0.8, 0.2), test=(0.8, 0.2), photos=200, dimension=2),
    "constant-70": partial(erased_noise, train=(0.49, 0.26, 0.25), test=(0.7, 0.15, 0.15), photos=200, dimension=2),
    "null-readers": still_read_noise,
    "equal-outputs": equal_outputs,
    "fewer-answers": fewer_answers,
    **{f"owners-{owners}": partial(audited_owners, owners=owners) for owners in (20, 40, 60)},
    **{f"classes-{classes}": partial(audited_classes, classes=classes) for classes in (50, 100, 1000)},
    "jitter": shaken,
    "bursts-30": partial(bursts, count=30),
}
"""Whether something false is said about a data set that is drawn, by case."""


def allowed(case: str, sets: int) -> int:
    """Most sets with a false claim: the 97.5 % quantile at 5 %, at 20 % for a power of 80 %.

    >>> allowed("bursts", 100), allowed("jitter", 300)
    (10, 23)
    """
    return int(binom.ppf(0.975, sets, 0.2 if case.startswith("classes") else 0.05))


def count_false(case: str, sets: int, seed: int = 0) -> int:
    """In how many data sets something false is said. All are scored in this process, which has imported everything."""
    false = 0
    with tempfile.TemporaryDirectory() as place, importable_encoders(Path(place)):
        for at in tqdm(range(sets), desc=case, unit="set", disable=None):
            rng = np.random.default_rng([seed, at, list(CASES).index(case)])
            folder = Path(place) / f"{at}"
            folder.mkdir()
            false += CASES[case](rng, folder)
            shutil.rmtree(folder)
    return false


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--sets", type=int, default=100, help="data sets of each case")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"unknown case: {', '.join(sorted(unknown))}")
    good = True
    for case in options.cases or CASES:
        false, most = count_false(case, options.sets, options.seed), allowed(case, options.sets)
        good &= false <= most
        print(f"{case}: false in {false} of {options.sets} sets, {most} allowed", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
