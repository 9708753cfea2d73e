"""Forms in which people write tables: each is read right, or refused with what to do; none is silently something else.

What is right is stated here beside the bytes, independently of the readers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.data_specs import open_photos
from builders.errors import CamtraceError
from builders.photos import UNLABELLED, Labels
from tests.support.layouts import picture

IDS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Form:
    """A table as it is written, and what is right about it."""

    content: bytes | dict[str, Any]
    """Of a CSV file, or the columns of a Parquet file."""
    options: str = "id=id&label=label&group=site"
    suffix: str = ".csv"
    ids: tuple[str, ...] = IDS
    labels: tuple[str | None, ...] = ("x", "x", "y", "y")
    groups: dict[str, tuple[str | None, ...]] = field(default_factory=lambda: {"site": ("N", "S", "N", "S")})
    refused: str = ""
    """Pattern of the sentence; "" if the table is read."""


def text(lines: str, encoding: str = "utf-8") -> bytes:
    return lines.encode(encoding)


PLAIN = "id,label,site\na,x,N\nb,x,S\nc,y,N\nd,y,S\n"

FORMS = {
    "plain": Form(text(PLAIN)),
    "byte order mark": Form(text("\ufeff" + PLAIN)),
    "Windows lines": Form(text(PLAIN.replace("\n", "\r\n"))),
    "old Macintosh lines": Form(text(PLAIN.replace("\n", "\r"))),
    "no last line end": Form(text(PLAIN.rstrip())),
    "empty lines": Form(text(PLAIN.replace("\n", "\n\n"))),
    "every cell quoted": Form(text('"id","label","site"\n"a","x","N"\n"b","x","S"\n"c","y","N"\n"d","y","S"\n')),
    "spaces around cells": Form(text(PLAIN.replace(",", " , "))),
    "tabs": Form(text(PLAIN.replace(",", "\t")), suffix=".tsv"),
    "tabs in a .txt": Form(text(PLAIN.replace(",", "\t")), suffix=".txt"),
    "tabs, and a comma in the header": Form(
        text("id\tlabel, of two\tsite, or lab\na\tx\tN\nb\tx\tS\nc\ty\tN\nd\ty\tS\n"),
        "id=id&label=label, of two&group=site=site, or lab",
        ".tsv",
    ),
    "semicolons": Form(text(PLAIN.replace(",", ";"))),
    "semicolons, and quoted commas": Form(
        text('id;"label, a, b, c";site\na;x;N\nb;x;S\nc;y;N\nd;y;S\n'), "id=id&label=label, a, b, c&group=site"
    ),
    "bars": Form(text(PLAIN.replace(",", "|"))),
    "a quoted comma": Form(
        text('id,label,site\na,"x, or z",N\nb,"x, or z",S\nc,y,N\nd,y,S\n'), labels=("x, or z", "x, or z", "y", "y")
    ),
    "a quoted quote": Form(
        text('id,label,site\na,"6"" lens",N\nb,"6"" lens",S\nc,y,N\nd,y,S\n'), labels=('6" lens', '6" lens', "y", "y")
    ),
    "a quoted line end": Form(
        text('id,label,site\na,"x\nz",N\nb,"x\nz",S\nc,y,N\nd,y,S\n'), labels=("x\\x0az", "x\\x0az", "y", "y")
    ),
    "an open quote": Form(text(PLAIN.replace("c,y", 'c,"y')), refused="not a CSV file"),
    "a comma too many": Form(text(PLAIN.replace("c,y", "c,y,z")), refused="line 4: 4 values for 3 columns"),
    "an index without a name": Form(text(",id,label,site\n0,a,x,N\n1,b,x,S\n2,c,y,N\n3,d,y,S\n")),
    "no header": Form(text("a,x,N\nb,x,S\n"), refused="unknown (column|id) of meta.csv"),
    "Latin-1": Form(text(PLAIN.replace("x", "é"), "latin-1"), labels=("é", "é", "y", "y")),
    "Windows-1252": Form(
        text(PLAIN.replace("N", "Zürich – Süd"), "cp1252"), groups={"site": ("Zürich – Süd", "S", "Zürich – Süd", "S")}
    ),
    "UTF-16, as Excel writes Unicode text": Form(text(PLAIN, "utf-16")),
    "Cyrillic letters of Windows": Form(text(PLAIN.replace("x", "опухоль"), "cp1251"), refused="encoding="),
    "Cyrillic letters of Windows, named": Form(
        text(PLAIN.replace("x", "опухоль"), "cp1251"),
        "id=id&label=label&group=site&encoding=cp1251",
        labels=("опухоль", "опухоль", "y", "y"),
    ),
    "Japanese letters of Windows": Form(text(PLAIN.replace("x", "テスト"), "cp932"), refused="encoding=cp932"),
    "an encoding that is none": Form(text(PLAIN), "id=id&encoding=utf-99", refused="utf-99"),
    "JSON lines": Form(
        text(
            "".join(
                f'{{"id": "{i}", "label": "{x}", "site": "{s}"}}\n' for i, x, s in zip(IDS, "xxyy", "NSNS", strict=True)
            )
        ),
        suffix=".jsonl",
    ),
    "JSON of rows": Form(
        text(json.dumps([{"id": i, "label": x, "site": s} for i, x, s in zip(IDS, "xxyy", "NSNS", strict=True)])),
        suffix=".json",
    ),
    "JSON of columns": Form(text(json.dumps({"id": [*IDS], "label": [*"xxyy"], "site": [*"NSNS"]})), suffix=".json"),
    "JSON of columns, as pandas writes them": Form(
        text(
            json.dumps({"id": dict(enumerate(IDS)), "label": dict(enumerate("xxyy")), "site": dict(enumerate("NSNS"))})
        ),
        suffix=".json",
    ),
    "Mac OS Roman": Form(text(PLAIN.replace("x", "café"), "mac_roman"), refused="mac_roman"),
    "JSON of rows by name": Form(
        text(json.dumps({i: {"label": x, "site": s} for i, x, s in zip(IDS, "xxyy", "NSNS", strict=True)})),
        "id=key&label=label&group=site",
        suffix=".json",
    ),
    "JSON of labels by name": Form(
        text(json.dumps(dict(zip(IDS, "xxyy", strict=True)))), "id=key&label=value", suffix=".json", groups={}
    ),
    "JSON that is no table": Form(text("[1, 2]"), suffix=".json", refused="no list of JSON objects"),
    "columns of 0 and 1": Form(
        text("id,x,y,site\na,1.0,0.0,N\nb,1.0,0.0,S\nc,0.0,1.0,N\nd,0,1,S\n"), "id=id&label=x,y&group=site"
    ),
    "columns of 0 and 1, of which two are 1": Form(text("id,x,y\na,1,1\n"), "id=id&label=x,y", refused="row 1 has 2"),
    "a measurement as a group": Form(
        text("id,age\n" + "".join(f"{n},{n + 0.5}\n" for n in range(40))), "id=id&group=age", refused="bands:4:age"
    ),
    "bands of a measurement": Form(
        text("id,age\n" + "".join(f"{n:02},{n + 0.5}\n" for n in range(40))),
        "id=id&group=age=bands:2:age",
        ids=tuple(f"{n:02}" for n in range(40)),
        labels=(),
        groups={"age": ("0.5 to 19.5",) * 20 + ("20.5 to 39.5",) * 20},
    ),
    "Unicode": Form(
        text(PLAIN.replace("x", "腫瘍").replace("N", "Zürich")),
        labels=("腫瘍", "腫瘍", "y", "y"),
        groups={"site": ("Zürich", "S", "Zürich", "S")},
    ),
    "names with spaces and brackets": Form(
        text("id,what (ICD),the site\na,x,N\nb,x,S\nc,y,N\nd,y,S\n"), "id=id&label=what (ICD)&group=site=the site"
    ),
    "a name in Unicode": Form(text(PLAIN.replace("label", "診断")), "id=id&label=診断&group=site"),
    "names in capitals": Form(text(PLAIN.replace("label", "Label")), refused="did you mean 'Label'"),
    "ids with leading zeros": Form(
        text("id,label,site\n007,x,N\n7,x,S\n0070,y,N\n70,y,S\n"), ids=("007", "7", "0070", "70")
    ),
    "an id twice": Form(text(PLAIN.replace("b,", "a,")), refused="the id 'a' in id is there twice"),
    "an id twice but for spaces": Form(text(PLAIN.replace("b,", " a,")), refused="the id 'a' in id is there twice"),
    "an id that is missing": Form(text(PLAIN.replace("b,", ",")), refused="row 2 has no id"),
    "an id that is no number": Form(text(PLAIN.replace("b,", "NaN,")), refused="row 2 has no id"),
    "missing labels": Form(text(PLAIN.replace("b,x", "b,")), labels=("x", None, "y", "y")),
    "labels that are no number": Form(text(PLAIN.replace("b,x", "b,nan")), labels=("x", None, "y", "y")),
    "labels that pandas lacks": Form(text(PLAIN.replace("b,x", "b,<NA>")), labels=("x", None, "y", "y")),
    "a group that is no number": Form(text(PLAIN.replace("a,x,N", "a,x,NaN")), groups={"site": (None, "S", "N", "S")}),
    "a group called NA": Form(text(PLAIN.replace("N\n", "NA\n")), groups={"site": ("NA", "S", "NA", "S")}),
    "a label called none": Form(text(PLAIN.replace("x", "none")), labels=("none", "none", "y", "y")),
    "no label at all": Form(text("id,label,site\na,,N\nb,,S\n"), refused="label=label gives none of the 2 photos"),
    "labels that are numbers": Form(
        text("id,label,site\na,2,N\nb,2,S\nc,10,N\nd,10,S\n"), labels=("2", "2", "10", "10")
    ),
    "Parquet": Form({"id": [*IDS], "label": [*"xxyy"], "site": [*"NSNS"]}, suffix=".parquet"),
    "Parquet with numbers, truth values and a missing label": Form(
        {"id": [1, 2, 3, 4], "label": [0, None, 1, 1], "site": [True, False, True, False]},
        suffix=".parquet",
        ids=("1", "2", "3", "4"),
        labels=("0", None, "1", "1"),
        groups={"site": ("True", "False", "True", "False")},
    ),
    "Parquet with fractions that pandas made of numbers": Form(
        {"id": [*IDS], "label": pa.array([0.0, float("nan"), 1.0, 1.0]), "site": [*"NSNS"]},
        suffix=".parquet",
        labels=("0", None, "1", "1"),
    ),
    "Parquet with ids as fractions": Form(
        {"id": [1.0, 2.0, 3.0, 4.0], "label": [*"xxyy"], "site": [*"NSNS"]},
        suffix=".parquet",
        ids=("1", "2", "3", "4"),
    ),
    "Parquet with categories": Form(
        {"id": [*IDS], "label": pa.array([*"xxyy"]).dictionary_encode(), "site": pa.array([*"NSNS"])},
        suffix=".parquet",
    ),
    "Parquet with bytes": Form(
        {"id": [b"a", b"b", b"c", b"d"], "label": [*"xxyy"], "site": [*"NSNS"]},
        suffix=".parquet",
        refused="the column id holds binary",
    ),
    "Parquet with lists": Form(
        {"id": [*IDS], "label": [["x"], ["x"], ["y"], ["y"]], "site": [*"NSNS"]},
        suffix=".parquet",
        refused="the column label holds list",
    ),
    "Parquet without a column": Form(
        {"id": [*IDS], "label": [*"xxyy"]}, suffix=".parquet", refused=r"unknown column of meta.parquet 'site'"
    ),
}


def of(labels: Labels) -> tuple[str | None, ...]:
    return tuple(None if value == UNLABELLED else labels.names[value] for value in labels.values)


@pytest.mark.parametrize("name", FORMS)
def test_form__is_read_right_or_refused_with_what_to_do(name, tmp_path):
    form = FORMS[name]
    file = tmp_path / f"meta{form.suffix}"
    if isinstance(form.content, bytes):
        file.write_bytes(form.content)
    else:
        pq.write_table(pa.table(form.content), file)
    spec = f"table:{file}?{form.options}"
    if form.refused:
        with pytest.raises(CamtraceError, match=form.refused) as refusal:
            open_photos(spec)
        assert "\n" not in str(refusal.value)
        return
    photos = open_photos(spec)
    order = sorted(range(len(form.ids)), key=lambda i: form.ids[i])
    assert photos.ids == tuple(form.ids[i] for i in order)
    assert of(photos.labels) == tuple(form.labels[i] for i in order) if form.labels else not any(of(photos.labels))
    groups = {group: tuple(values[i] for i in order) for group, values in form.groups.items()}
    assert {group: of(values) for group, values in photos.groups.items()} == groups


PICTURES = ("one.png", "a folder/two.png", "naïve/drei.png", "deep/er/0004.png")


@dataclass(frozen=True)
class Paths:
    """Paths of pictures as a table names them: ``{root}`` is the folder of the pictures."""

    values: tuple[str, ...]
    options: str = ""
    refused: str = ""
    elsewhere: bool = False
    """Whether the table is in another folder than the pictures."""


PATHS = {
    "relative": Paths(PICTURES),
    "relative, with ./": Paths(tuple(f"./{path}" for path in PICTURES)),
    "absolute": Paths(tuple(f"{{root}}/{path}" for path in PICTURES)),
    "absolute, table elsewhere": Paths(
        tuple(f"{{root}}/{path}" for path in PICTURES), elsewhere=True, refused=r"outside the folder .*root=PATH"
    ),
    "absolute, table elsewhere, with root": Paths(
        tuple(f"{{root}}/{path}" for path in PICTURES), "&root={root}", elsewhere=True
    ),
    "relative to a folder beside": Paths(PICTURES, elsewhere=True),
    "relative to root": Paths(PICTURES, "&root={root}", elsewhere=True),
    "of Windows": Paths(tuple(path.replace("/", "\\") for path in PICTURES)),
    "names without endings": Paths(tuple(path[:-4] for path in PICTURES)),
    "addresses": Paths(tuple(f"https://x.org/{path}" for path in PICTURES), refused="row 1 names an address"),
    "one twice": Paths((*PICTURES[:3], PICTURES[0]), refused="one.png is there twice: list it once, or name ids"),
    "one empty": Paths((*PICTURES[:3], ""), refused="row 4 names no picture"),
    "one no number": Paths((*PICTURES[:3], "nan"), refused="row 4 names no picture"),
    "up and down": Paths(tuple(f"deep/../{path}" for path in PICTURES)),
    "out of the folder": Paths((*PICTURES[:3], "../x.png"), refused="row 4 names a picture outside"),
}


@pytest.mark.parametrize("name", PATHS)
def test_paths__lead_to_their_pictures_or_are_refused(name, tmp_path):
    form, root = PATHS[name], tmp_path / "pictures"
    for shade, path in enumerate(PICTURES):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(picture(40 * shade))
    folder = tmp_path / "tables" if form.elsewhere else root
    folder.mkdir(exist_ok=True)
    rows = [f'"{value.format(root=root)}",{"xy"[i % 2]}' for i, value in enumerate(form.values)]
    (folder / "meta.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    spec = f"table:{folder / 'meta.csv'}?image=path&label=label{form.options.format(root=root)}"
    if form.refused:
        with pytest.raises(CamtraceError, match=form.refused):
            open_photos(spec)
        return
    photos = open_photos(spec)
    assert photos.ids == tuple(sorted(PICTURES))
    assert of(photos.labels) == tuple("xy"[PICTURES.index(path) % 2] for path in photos.ids)
    assert [photos.read(i) for i in range(4)] == [Path(root / path).read_bytes() for path in photos.ids]
