"""68 layouts of data sets as people have them: read right, or refused with a specification that reads them right.

    python scripts/checks/layouts.py

Each layout is written with tiny pictures in a temporary folder, and opened as a stranger would write it. What is right
is computed here from the paths and rows. A refusal counts as useful if the specification in it, typed as it stands,
reads the layout right, or if the sentence holds the words of the remedy.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))

from builders.data_specs import open_photos
from builders.errors import CamtraceError
from builders.photos import SPLITS, UNLABELLED, Labels
from tests.support.layouts import expanded, write_layout

Facts = dict[str, Any]
"""By the photo's path: label, groups, split, as they should be."""


@dataclass(frozen=True)
class Layout:
    """How a layout is written, the specification that a stranger types, and what is right."""

    make: Callable[[Path], None]
    spec: str
    """``{root}`` is its folder."""
    count: int
    labels: dict[str, int] | None = None
    """Photos of each label; None if there are none, or if they do not matter."""
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    splits: dict[str, int] | None = None
    """Photos of each given split."""
    words: str = ""
    """Of a refusal whose remedy is no specification."""


LAYOUTS: dict[str, Layout] = {}


def folder(name: str, patterns: str, count: int, spec: str = "folder:{root}", **right: Any) -> None:
    """A layout of pictures alone; ``+`` before a path is a file that is none."""

    def make(root: Path) -> None:
        write_layout(root, *(p for p in patterns.split() if p[0] != "+"))
        for other in (path for p in patterns.split() if p[0] == "+" for path in expanded(p[1:])):
            (root / other).parent.mkdir(parents=True, exist_ok=True)
            (root / other).write_text("{}" if other.endswith("json") else "a,b\n1,2\n")

    LAYOUTS[name] = Layout(make, spec, count, **right)


two = {"cat": 5, "dog": 5}
folder("class folders", "{cat,dog}/{0..4}.png", 10, labels=two)
folder(
    "with Thumbs.db, .DS_Store, notes and a raw file",
    "{cat,dog}/{0..4}.png cat/0.nef +cat/Thumbs.db +.DS_Store +readme.txt",
    10,
    labels=two,
)
folder("with a JSON for each photo", "{cat,dog}/{0..4}.jpg +{cat,dog}/{0..4}.json", 10, labels=two)
folder("names without endings", "{cat,dog}/{0..4}", 10, labels=two)
folder("capital endings", "{cat,dog}/{0..4}.JPG", 10, labels=two)
folder(
    "train and val",
    "{train,val}/{cat,dog}/{0..4}.png",
    20,
    labels={"cat": 10, "dog": 10},
    splits={"train": 10, "val": 10},
)
folder("train, valid, test", "{train,valid,test}/{cat,dog}/{0..4}.png", 30, splits={"train": 10, "val": 10, "test": 10})
folder("train and test", "{Train,Test}/{cat,dog}/{0..4}.png", 20, splits={"train": 10, "val": 10})
folder("flat", "{0..9}.png", 10)
folder("images", "images/{cat,dog}/{0..4}.png", 10, labels=two)
folder("EuroSAT", "2750/{Forest,River}/{0..4}.jpg", 10, labels={"Forest": 5, "River": 5})
folder(
    "EuroSAT with its tables",
    "2750/{Forest,River}/{0..4}.jpg +train.csv +label_map.json",
    10,
    labels={"Forest": 5, "River": 5},
)
folder(
    "DomainNet",
    "{clipart,real,sketch}/{axe,bus}/{0..4}.jpg",
    30,
    labels={"axe": 15, "bus": 15},
    groups={"domain": {"clipart": 10, "real": 10, "sketch": 10}},
)
folder(
    "PACS",
    "PACS/{photo,art_painting}/{dog,elephant}/{0..4}.jpg",
    20,
    "folder:{root}/PACS",
    labels={"dog": 10, "elephant": 10},
    groups={"domain": {"photo": 10, "art_painting": 10}},
)
folder(
    "Office-Home with its lists",
    "{Art,Product}/{Bed,Desk}/{0..4}.jpg +ImageInfo.csv",
    20,
    labels={"Bed": 10, "Desk": 10},
    groups={"domain": {"Art": 10, "Product": 10}},
)
market = (
    "bounding_box_train/000{2..4}_c{1..2}s1_{0..4}_00.jpg {query,bounding_box_test}/000{5..7}_c{1..2}s1_{0..4}_00.jpg"
)
folder(
    "Market-1501",
    f"{market} +gt_query/0005_c1s1_0_00_good.mat +readme.txt",
    30,
    labels={"0002": 10, "0003": 10, "0004": 10},
    groups={"camera": {"1": 15, "2": 15}},
)
folder(
    "DukeMTMC",
    "bounding_box_train/000{2..4}_c{1..2}_f{0..4}.jpg query/000{5..7}_c{1..2}_f{0..4}.jpg",
    30,
    labels={"0002": 10, "0003": 10, "0004": 10},
    groups={"camera": {"1": 15, "2": 15}},
)
slides = "histology_slides/breast/{benign,malignant}/SOB"
breakhis = (
    f"{slides}".replace("{benign,malignant}", "benign")
    + "/adenosis/SOB_B_A_{1..2}/{40X,100X}/{0..2}.png "
    + f"{slides}".replace("{benign,malignant}", "malignant")
    + "/lobular/SOB_M_L_{3..4}/{40X,100X}/{0..2}.png"
)
folder("BreakHis", breakhis, 24, labels={"benign": 12, "malignant": 12}, groups={"folder7": {"40X": 12, "100X": 12}})
folder(
    "BreakHis by magnification", "{40X,100X}/{benign,malignant}/{0..4}.png", 20, labels={"benign": 10, "malignant": 10}
)
folder(
    "ImageNet's own tree", "ILSVRC/Data/CLS-LOC/{train,val}/{n01,n02}/{0..4}.JPEG", 20, splits={"train": 10, "val": 10}
)
folder("ImageNet with a flat val", "train/{n01,n02}/{0..4}.JPEG val/{0..4}.JPEG", 0, words="table:")
folder("Tiny ImageNet", "train/{n01,n02}/images/{0..4}.JPEG val/images/{0..4}.JPEG", 0, words="table:")
folder("train alone", "train/{cat,dog}/{0..4}.png", 10, labels=two)
folder("splits in classes", "{cat,dog}/{train,val}/{0..4}.png", 20, splits={"train": 10, "val": 10})
folder("years in splits", "{train2017,val2017}/{0..9}.jpg", 20, words="table:")
folder(
    "GenImage",
    "{BigGAN,ADM}/imagenet_ai/{train,val}/{ai,nature}/{0..4}.png",
    40,
    labels={"ai": 20, "nature": 20},
    groups={"generator": {"BigGAN": 20, "ADM": 20}},
    splits={"train": 20, "val": 20},
)
folder("UnivFD", "{progan,biggan}/{0_real,1_fake}/{0..4}.png", 20, labels={"0_real": 10, "1_fake": 10})
folder("Parquet alone", "+data/train-00000-of-00001.parquet", 0, words="hub:")
folder("archives alone", "+{train,val}.zip", 0, words="unpack")
folder("nothing", "+readme.txt", 0, words="no photo")
folder(
    "RxRx1",
    "images/HEPG2-0{1..2}/Plate{1..2}/B0{2..3}_s{1..2}_w1.png",
    16,
    labels={"HEPG2": 16},
    groups={"experiment": {"HEPG2-01": 8, "HEPG2-02": 8}},
)
folder(
    "breeds in classes", "cat/{siam,persian}/{0..4}.png dog/{collie,pug}/{0..4}.png", 20, labels={"cat": 10, "dog": 10}
)
folder("pictures and masks", "{images,masks}/{0..4}.png", 0, words="table:")
folder("classes for build imagenet", "{cat,dog}/{0..4}.png", 10, "imagenet:{root}", labels=two)


ROWS = [
    {"path": f"p/{i}.jpg", "label": "xy"[i % 2], "site": "NS"[i // 10], "fold": "train" if i < 15 else "val"}
    for i in range(20)
]
XY, SITES, FOLDS = {"x": 10, "y": 10}, {"site": {"N": 10, "S": 10}}, {"train": 15, "val": 5}
OPTIONS = "?image=path&label=label&group=site&split=fold"


def table(
    name: str,
    file: str,
    write: Callable[[Path, list[dict[str, Any]]], None],
    options: str = OPTIONS,
    rows: list[dict[str, Any]] = ROWS,
    pictures: str = "p/{0..19}.jpg",
    **right: Any,
) -> None:
    """A layout of a table and its pictures."""

    def make(root: Path) -> None:
        write_layout(root, pictures)
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        write(root / file, rows)

    right = {"labels": XY, "groups": SITES, "splits": FOLDS, **right}
    LAYOUTS[name] = Layout(make, f"table:{{root}}/{file}{options}", right.pop("count", 20), **right)


def as_csv(separator: str = ",", encoding: str = "utf-8") -> Callable[[Path, list[dict[str, Any]]], None]:
    def write(path: Path, rows: list[dict[str, Any]]) -> None:
        with path.open("w", encoding=encoding, newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)

    return write


GERMAN = [{**row, "label": {"x": "Mühle", "y": "Straße"}[row["label"]]} for row in ROWS]
UMLAUTS = {"Mühle": 10, "Straße": 10}
RUSSIAN = [{**row, "label": {"x": "да", "y": "нет"}[row["label"]]} for row in ROWS]
CHINESE = [{**row, "label": {"x": "男", "y": "女"}[row["label"]]} for row in ROWS]
table("CSV", "m.csv", as_csv())
table("CSV of Excel, with a mark", "m.csv", as_csv(encoding="utf-8-sig"))
table("CSV with semicolons", "m.csv", as_csv(";"))
table("CSV with tabs", "m.csv", as_csv("\t"))
table("CSV in Latin-1", "m.csv", as_csv(";", "latin-1"), rows=GERMAN, labels=UMLAUTS)
table("CSV in UTF-16", "m.csv", as_csv("\t", "utf-16"), rows=GERMAN, labels=UMLAUTS)
table("CSV in Windows-1251", "m.csv", as_csv(encoding="cp1251"), rows=RUSSIAN, words="encoding=")
table("CSV in GB 18030", "m.csv", as_csv(encoding="gb18030"), rows=CHINESE, words="encoding=")
table("TSV", "m.tsv", as_csv("\t"))
table("Parquet", "m.parquet", lambda path, rows: pd.DataFrame(rows).to_parquet(path))
table("Feather", "m.feather", lambda path, rows: pd.DataFrame(rows).to_feather(path))
table("Excel", "m.xlsx", lambda path, rows: pd.DataFrame(rows).to_excel(path, index=False))
table("JSON of rows", "m.json", lambda path, rows: pd.DataFrame(rows).to_json(path, orient="records"))
table("JSON of columns", "m.json", lambda path, rows: path.write_text(json.dumps(pd.DataFrame(rows).to_dict("list"))))
table("JSON lines", "m.jsonl", lambda path, rows: pd.DataFrame(rows).to_json(path, orient="records", lines=True))
table("no options", "m.csv", as_csv(), "", groups={}, splits=None)
table("pictures in another folder", "meta/m.csv", as_csv())
table("ids without endings", "m.csv", as_csv(), rows=[{**row, "path": row["path"][:-4]} for row in ROWS])
table(
    "Waterbirds",
    "metadata.csv",
    as_csv(),
    "?image=img_filename&label=y&group=place&split=split",
    [{"img_id": i, "img_filename": f"p/{i}.jpg", "y": i % 2, "split": i // 8, "place": i % 3 % 2} for i in range(20)],
    labels={"0": 10, "1": 10},
    groups={"place": {"0": 13, "1": 7}},
    splits={"train": 8, "val": 8, "test": 4},
)
table(
    "splits by a map",
    "m.csv",
    as_csv(),
    "?image=path&label=label&split=part:1=train,2=val",
    [{**row, "part": 1 + i // 12} for i, row in enumerate(ROWS)],
    groups={},
    splits={"train": 12, "val": 8},
)
table(
    "a measurement as a group",
    "m.csv",
    as_csv(),
    "?image=path&label=label&group=temperature",
    [{"path": f"p/{i}.jpg", "label": "xy"[i % 2], "temperature": 20 + i / 7} for i in range(40)],
    "p/{0..39}.jpg",
    count=40,
    labels={"x": 20, "y": 20},
    groups={},
    splits=None,
)
table(
    "JSON lines of a picture and a word",
    "m.jsonl",
    lambda path, rows: pd.DataFrame(rows)[["path", "site"]].to_json(path, orient="records", lines=True),
    "",
    labels={"N": 10, "S": 10},
    groups={},
    splits=None,
)
table(
    "captions",
    "m.csv",
    as_csv(),
    "",
    [{"path": row["path"], "caption": f"photo {i}"} for i, row in enumerate(ROWS)],
    labels={},
    groups={},
    splits=None,
)
table(
    "names of pictures that two folders have",
    "m.csv",
    as_csv(),
    rows=[{**row, "path": row["path"][2:]} for row in ROWS],
    pictures="{p,q}/{0..19}.jpg",
)
isic = [{"image": f"ISIC_{i:07}", "MEL": float(i % 2), "NV": float(1 - i % 2)} for i in range(20)]
isic_pictures = f"ISIC_2019_Training_Input/ISIC_00000{{{','.join(f'{i:02}' for i in range(20))}}}.jpg"
table(
    "ISIC 2019",
    "ISIC_2019_Training_GroundTruth.csv",
    as_csv(),
    "?image=image&label=MEL,NV",
    isic,
    isic_pictures,
    labels={"MEL": 10, "NV": 10},
    groups={},
    splits=None,
)
LAYOUTS["ISIC 2019, the folder"] = Layout(LAYOUTS["ISIC 2019"].make, "folder:{root}", 20, labels={"MEL": 10, "NV": 10})
COCO = {
    "images": [{"id": i, "file_name": f"{i:012}.jpg", "height": 8, "width": 8} for i in range(20)],
    "annotations": [{"id": i, "image_id": i, "category_id": 17 + i % 2, "bbox": [0, 0, 1, 1]} for i in range(20)],
    "categories": [{"id": 17, "name": "cat", "supercategory": "animal"}, {"id": 18, "name": "dog"}],
}
coco_pictures = f"val2017/0000000000{{{','.join(f'{i:02}' for i in range(20))}}}.jpg"
table(
    "COCO's JSON",
    "annotations/instances_val2017.json",
    lambda path, rows: path.write_text(json.dumps(COCO)),
    "?image=file_name&label=category",
    pictures=coco_pictures,
    labels={"cat": 10, "dog": 10},
    groups={},
    splits=None,
)
SEVERAL = {**COCO, "annotations": [*COCO["annotations"], {"id": 99, "image_id": 0, "category_id": 18}]}
table(
    "COCO's JSON, a picture of two categories",
    "annotations/instances_val2017.json",
    lambda path, rows: path.write_text(json.dumps(SEVERAL)),
    "",
    pictures=coco_pictures,
    labels={"cat": 9, "dog": 10},
    groups={},
    splits=None,
)
LAYOUTS["COCO, the folder"] = Layout(LAYOUTS["COCO's JSON"].make, "folder:{root}", 20, labels={"cat": 10, "dog": 10})


def arrays(root: Path) -> None:
    rng = np.random.default_rng(0)
    members = {
        f"{s}_images": rng.integers(0, 256, (n, 8, 8, 3), np.uint8) for s, n in (("train", 8), ("val", 4), ("test", 4))
    }
    labels = {name.replace("images", "labels"): np.arange(len(array))[:, None] % 2 for name, array in members.items()}
    np.savez(root / "pathmnist.npz", **members, **labels)


def mnist(root: Path) -> None:
    pictures = np.zeros((10, 8, 8), np.uint8)
    np.savez_compressed(
        root / "mnist.npz", x_train=pictures, y_train=np.arange(10) % 2, x_test=pictures, y_test=np.arange(10) % 2
    )


def cifar_c(root: Path) -> None:
    for name in ("fog", "jpeg_compression"):
        np.save(root / f"{name}.npy", np.random.default_rng(1).integers(0, 256, (20, 8, 8, 3), np.uint8))
    np.save(root / "labels.npy", np.tile([0, 1, 1, 0], 5))


digits = {"0": 8, "1": 8}
LAYOUTS["MedMNIST"] = Layout(arrays, "table:{root}/pathmnist.npz", 16, digits, splits={"train": 8, "val": 4, "test": 4})
LAYOUTS["MedMNIST, the folder"] = Layout(arrays, "folder:{root}", 16)
LAYOUTS["Keras' MNIST"] = Layout(
    mnist,
    "table:{root}/mnist.npz?image=images&label=y&split=split",
    20,
    {"0": 10, "1": 10},
    splits={"train": 10, "val": 10},
)
corruptions = {"array": {"fog": 20, "jpeg_compression": 20}}
LAYOUTS["CIFAR-10-C"] = Layout(cifar_c, "folder:{root}", 40, {"0": 20, "1": 20})
LAYOUTS["CIFAR-10-C, its corruptions"] = Layout(
    cifar_c,
    "table:{root}?image=images&label=labels&group=array&group=severity&scene=scene",
    40,
    {"0": 20, "1": 20},
    corruptions,
)


def counted(labels: Labels) -> dict[str, int]:
    values = labels.values[labels.values != UNLABELLED]
    return {name: int((values == code).sum()) for code, name in enumerate(labels.names) if (values == code).any()}


def wrong(layout: Layout, photos: Any) -> str:
    """What of an opened layout is not right; empty if all is."""
    if len(photos) != layout.count:
        return f"{len(photos)} photos, not {layout.count}"
    if layout.labels is not None and counted(photos.labels) != layout.labels:
        return f"labels {counted(photos.labels)}"
    for name, counts in layout.groups.items():
        if name not in photos.groups or (name != "severity" and counted(photos.groups[name]) != counts):
            return f"group {name}: { ({n: counted(g) for n, g in photos.groups.items()}) }"
    given = {
        split: int((photos.splits == code).sum()) for code, split in enumerate(SPLITS) if (photos.splits == code).any()
    }
    if layout.splits is not None and (photos.drawn_splits or given != layout.splits):
        return f"splits {given}, {'drawn' if photos.drawn_splits else 'given'}"
    if any(not photos.read(row) for row in range(len(photos))):
        return "an empty photo"
    return ""


def outcome(layout: Layout, root: Path) -> str:
    """``right``, ``refused, ...`` or what went silently wrong."""
    layout.make(root)
    spec, refusals = layout.spec.replace("{root}", str(root)), 0
    while True:
        try:
            fault = wrong(layout, open_photos(spec))
        except CamtraceError as error:
            meant = re.search(r"did you mean '([^']+)'", str(error))
            if layout.words and layout.words in str(error):
                return "refused, with its remedy"
            if not meant or refusals == 3:
                return f"REFUSED without a remedy: {error}"
            spec, refusals = meant[1], refusals + 1
            continue
        how = f"refused, and the specification that it names is right{' after another refusal' * (refusals > 1)}"
        return f"WRONG: {fault} ({spec})" if fault else how if refusals else "right"


def main() -> int:
    bad = 0
    for name, layout in LAYOUTS.items():
        with tempfile.TemporaryDirectory() as place:
            root = Path(place, "set")
            root.mkdir()
            result = outcome(layout, root).replace(place, "")
        bad += result[0].isupper()
        print(f"{name:40} {result}")
    print(f"{len(LAYOUTS)} layouts, {len(LAYOUTS) - bad} right or refused with a remedy that works, {bad} others")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
