"""The page of a build: each of its tables and sentences from facts that are written here; and longer lists of facts."""

import base64
import hashlib
import html.parser
import json
import re
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image, Value

from builders.check.report import facts as facts_module
from builders.check.report import page as page_module
from builders.check.report.facts import (
    NOT_KNOWN,
    ClassRows,
    Count,
    Distribution,
    Duplicates,
    Missing,
    ReportFacts,
    distribution_of,
    report_facts,
)
from builders.check.report.page import LicenceRow, bar_width, licence_row, page_html, write_report
from builders.check.report.sheets import Sheet, SheetClass, Thumbnail
from builders.dataset import Build, PixelRights, SplitShards
from builders.dataset.shards import Shard
from builders.errors import DataError, DiskError

WORDS = Value("string")


class Text(html.parser.HTMLParser):
    """The text of a page, piece by piece, with the widths of bars and the attributes of pictures."""

    def __init__(self, page):
        super().__init__()
        self.pieces, self.bars, self.pictures, self.hidden = [], [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.hidden = tag == "style"
        if tag == "rect":
            self.bars.append(float(dict(attrs)["width"]))
        if tag == "img":
            self.pictures.append(
                (dict(attrs)["alt"], dict(attrs)["title"], dict(attrs)["width"], dict(attrs)["height"])
            )

    def handle_data(self, data):
        if data.strip() and not self.hidden:
            self.pieces.append(data.strip())


def shard(name, rows):
    return Shard(name, "r", rows, 1_250_000, 1, "s")


def build(*splits, allowed=True):
    rights = PixelRights(allowed, "It is said so." if not allowed else "")
    return Build("processed", "jpeg", {}, rights, {"pillow": "9", "canary": "c"}, splits)


def facts(made, **more):
    empty = {"distributions": (), "classes": (), "duplicates": (), "missing": (), "licences": (), "evidence": ()}
    return ReportFacts(folder="mine", build=made, photos=1234, **{**empty, **more})


def photo(name, credit="", jpeg="AAAA", codec="PNG"):
    return Thumbnail(name, "train", jpeg, 30, 20, credit, codec)


def test_page__every_table():
    made = build(
        SplitShards("jpeg", "train", (shard("a", 1200), shard("b", 3))), SplitShards("iso", "test", (shard("c", 5),))
    )
    bars = (Count("x", 1000, 0.8), Count(NOT_KNOWN, 250, 0.2))
    sheets = [
        Sheet(
            "jpeg", "jpeg", (SheetClass("low", 1203, (photo("p1", "by ann"), photo("p2", jpeg="", codec="?"))),), 2000
        ),
        Sheet("jpeg", "label", (SheetClass("cat", 1, (photo("p1", "by ann"), photo("", "by bob"))),), 1),
    ]
    page = page_html(
        facts(
            made,
            distributions=(Distribution("Labels", bars, 2000, 1250, "a note"), Distribution("Years", bars, 1, 1250)),
            classes=(
                ClassRows("jpeg", "jpeg", ("train", "val"), (("low", (1100, 2)),), 13),
                ClassRows("jpeg", "label", ("train",), (("cat", (7,)),), 1),
            ),
            duplicates=(Duplicates("equal files", 1000, 2500, 0),),
            missing=(Missing("broken", 1100, ("p", "q")),),
            licences=(Count("cc0-1.0", 1000, 0.8), Count("odd", 250, 0.2)),
            evidence=(("source", "folder"),),
        ),
        sheets,
    )
    text = Text(page)
    joined = " | ".join(text.pieces)
    for part in (
        "Built by camtrace: kind processed, 1,234 photos, 1,208 rows in 2 configs, 3 files, 3.8 MB.",
        "Up to 6 photos of each class, drawn by a hash of their ids.",
        "By jpeg | low | 1,203 rows | p2 cannot be decoded | The 1 most frequent of 2,000 classes. | By label | "
        "(config jpeg) | cat | 1 rows | Credits of the photos above (2) | by ann | by bob | Splits and classes",
        "jpeg | train | 1,203 | 2.5 | 2 | iso | test | 5 | 1.2 | 1",
        "jpeg | class | train | val | low | 1,100 | 2 | The 1 most frequent of 13 classes. | label | (config jpeg) | "
        "class | train | cat | 7 | Distributions",
        "Labels | a note | value | share | photos | x | 1,000 (80.0 %) | not known | 250 (20.0 %) | "
        "1 of 2,000 values. | Years | value",
        "CC0 1.0 | 1,000 (80.0 %) | yes | yes | yes | no | no | odd | 250 (20.0 %) | not known | not known",
        "equal files | 1,000 | 2,500 | 0 | Left out, and why",
        "broken | 1,100 | p, q | How it was made | source | folder | codec | pillow 9, canary c",
        "Codecs of the 3 files shown above | value | share | photos | PNG | 2 (66.7 %) | ? | 1 (33.3 %)",
    ):
        assert part in joined
    assert "may not be published" not in joined
    assert text.bars == [100, 25, 100, 25, 100, 50]
    assert text.pictures == [
        ("p1 (train)", "p1 (train), by ann", "30", "20"), ("p1 (train)", "p1 (train), by ann", "30", "20"),
        ("photo (train)", " (train), by bob", "30", "20"),
    ]  # fmt: skip
    assert '<td class="n good">0</td>' in page


def test_page__its_policy_allows_the_style_that_it_has():
    page = page_html(facts(build(SplitShards("jpeg", "train", ()))), [])
    style = re.search("<style>(.*?)</style>", page, re.DOTALL).group(1)
    policy = re.search('Content-Security-Policy" content="([^"]+)"', page).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy.replace("&#39;", "'").replace("&#43;", "+")


def test_page__of_a_build_without_anything_to_show():
    made = build(SplitShards("jpeg", "train", ()), allowed=False)
    duplicates = (Duplicates("equal files", 1, 2, 1),)
    joined = " | ".join(Text(page_html(facts(made), [])).pieces)
    for part in (
        "0 rows in 1 config, 0 files, 0.0 MB.", "The data have no pictures to show",
        "The data have no columns that describe photos.", "The pixels may not be published. | It is said so.",
        "The data hold no hashes of files or pictures to compare.", "No photo of the source is missing from the data.",
    ):  # fmt: skip
        assert part in joined
    assert "Codecs of" not in joined
    assert "Credits" not in joined
    assert '<td class="n bad">1</td>' in page_html(facts(made, duplicates=duplicates), [])


def test_bar_width__the_most_frequent_value_fills_the_drawing():
    counts = (Count("a", 3, 0.1), Count("b", 9, 0.3), Count("c", 0, 0.0))
    widths = [bar_width(count, Distribution("t", counts, 3, 12)) for count in counts]
    assert widths == [33.33, 100, 0]
    nothing = Distribution("t", (Count("c", 0, 0.0),), 1, 0)
    assert bar_width(nothing.counts[0], nothing) == 0
    free = LicenceRow("CC BY 4.0", 2, 0.5, True, True, True, True, False)
    assert licence_row(Count("CC-BY-4.0", 2, 0.5)) == free
    assert licence_row(Count("odd", 3, 0.25)) == LicenceRow("odd", 3, 0.25, None, None, None, None, None)


@pytest.mark.parametrize(
    ("words", "listed", "values"),
    [
        ([f"v{i:02d}" for i in range(12)], 12, 12), ([f"v{i:02d}" for i in range(13)], 12, 13),
        ([f"v{i:02d}" for i in range(12)] + [""] * 2, 11, 12), ([f"v{i:02d}" for i in range(11)] + [""], 11, 11),
        ([""], 0, 0), ([], 0, 0), ([None, "", "x"], 1, 1),
    ],
)  # fmt: skip
def test_distribution__lists_twelve_and_counts_all(words, listed, values):
    made = distribution_of("t", words)
    assert (made.listed, made.values, made.photos, made.note) == (listed, values, len(words), "")
    assert len(made.counts) <= 12
    assert all(count.share == count.photos / len(words) for count in made.counts)
    frequent = [count.photos for count in made.counts]
    assert frequent == sorted(frequent, reverse=True)


def table(folder, name, columns, features):
    pq.write_table(pa.table(columns, schema=Features(features).arrow_schema), folder / name)
    return SimpleNamespace(file=name)


def facts_of(folder, monkeypatch, shards: dict, default="jpeg", recipe=None, shared=None):
    splits = [SimpleNamespace(config=c, split=s, shards=files) for (c, s), files in shards.items()]
    configs = list(dict.fromkeys(c for c, _ in shards))
    made = SimpleNamespace(configs=configs, default=default, splits=splits, shared=shared, recipe=recipe or {})
    monkeypatch.setattr(facts_module, "read_build", lambda folder: made)
    return report_facts(folder)


def test_facts__many_classes_reasons_and_long_texts(tmp_path, monkeypatch):
    names = [f"c{i:02d}" for i in range(14)]
    codes = [3, 3, 3, 9, 9, *range(14), -1, None]
    columns = {
        "photo_id": [f"p{i}" for i in range(len(codes))], "jpeg": codes, "camera_model": [None] * len(codes),
        "image": [{"bytes": b"1", "path": None}] * len(codes), "year": [2001] * len(codes),
    }  # fmt: skip
    features = {"photo_id": WORDS, "jpeg": ClassLabel(names=names), "camera_model": WORDS, "image": Image(),
                "year": Value("int32")}  # fmt: skip
    shards = {("jpeg", "train"): [table(tmp_path, "a.parquet", columns, features)]}
    lines = [json.dumps({"id": f"{r}-{i}" + "z" * 300, "reason": f"reason {r:02d} " + "x" * 400})
             for r in range(22) for i in range(r + 1)]  # fmt: skip
    (tmp_path / facts_module.FAILURES_FILE).write_text("\n".join(lines))
    settings = [{"parameter": "x" * 400}] * 14
    recipe = {"settings": settings, "source": "", "license": 7, "evidence": {"long": "y" * 600, "none": None}}
    made = facts_of(tmp_path, monkeypatch, shards, recipe=recipe)
    (rows,) = made.classes
    assert rows.count == 14
    assert [name for name, _ in rows.classes] == ["c03", "c09", "c00", "c01", "c02", *names[4:9], "c10", "c11"]
    assert [counts for _, counts in rows.classes[:3]] == [(4,), (3,), (1,)]
    assert [d.title for d in made.distributions] == ["Years"]  # no camera is known: nothing is said of devices
    assert [m.photos for m in made.missing] == list(range(22, 2, -1))
    first = made.missing[0]
    assert (first.reason[:10], len(first.reason), len(first.examples)) == ("reason 21 ", 300, 3)
    assert [example[:4] for example in first.examples] == ["21-0", "21-1", "21-2"]
    assert {len(example) for example in first.examples} == {200}
    assert made.licences == (Count("7", len(codes), 1.0),)
    assert made.duplicates == ()
    stated = dict(made.evidence)
    assert list(stated) == ["licence of the data set", "long", "settings"]
    assert (stated["licence of the data set"], len(stated["long"]), len(stated["settings"])) == ("7", 500, 500)
    assert made.folder == tmp_path.name


def test_facts__photos_of_the_config_that_has_all_and_no_rows_of_it_as_classes(tmp_path, monkeypatch):
    features = {"photo_id": WORDS, "label": ClassLabel(names=["cat"]), "split": WORDS, "source_sha256": WORDS,
                "sha256": WORDS, "near_duplicates": WORDS, "perceptual_hash": Value("int64")}  # fmt: skip
    whole = {"photo_id": list("abc"), "label": [0, 0, 0], "split": ["train", "test", "train"],
             "source_sha256": ["1", "1", "2"], "sha256": ["5", "6", "6"], "near_duplicates": ["", "b", "b"],
             "perceptual_hash": [0, 0, 0]}  # fmt: skip
    part = {"photo_id": ["a"], "label": [0], "jpeg": [0]}
    of_part = {"photo_id": WORDS, "label": ClassLabel(names=["cat"]), "jpeg": ClassLabel(names=["low", "high"])}
    shards = {
        ("jpeg", "train"): [table(tmp_path, "a.parquet", part, of_part)],
        ("iso", "train"): [table(tmp_path, "b.parquet", part, of_part)],
        ("photos", "train"): [table(tmp_path, "c.parquet", whole, features)],
    }
    made = facts_of(tmp_path, monkeypatch, shards)
    assert made.photos == 3
    assert [(c.config, c.column) for c in made.classes] == [("jpeg", "label"), ("jpeg", "jpeg"), ("iso", "jpeg")]
    assert [(d.kind, d.groups, d.photos, d.straddling) for d in made.duplicates] == [
        ("equal files", 1, 2, 1), ("nearly equal pictures", 1, 2, 1),
    ]  # fmt: skip
    shards["metadata", "train"] = shards["jpeg", "train"]
    assert facts_of(tmp_path, monkeypatch, shards).photos == 1
    shared = SimpleNamespace(
        configs=["jpeg"], groups=[SimpleNamespace(split="mixed-3", shards=shards["photos", "train"])]
    )
    del shards["metadata", "train"], shards["photos", "train"]
    made = facts_of(tmp_path, monkeypatch, shards, shared=shared)
    assert made.photos == 3
    assert [(c.config, c.column) for c in made.classes] == [("jpeg", "jpeg"), ("iso", "jpeg")]


def test_facts__tables_of_another_form_are_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"no table")
    with pytest.raises(DataError):
        facts_of(tmp_path, monkeypatch, {("jpeg", "train"): [SimpleNamespace(file="a.parquet")]})


def test_write_report__into_the_folder_or_a_new_one_or_an_error(tmp_path, monkeypatch):
    made, calls = facts(build(SplitShards("jpeg", "train", ()))), []
    monkeypatch.setattr(page_module, "report_facts", lambda folder: made)
    monkeypatch.setattr(page_module, "contact_sheets", lambda *args, **options: calls.append((args, options)) or ())
    assert write_report(tmp_path) == tmp_path / "report.html"
    path = write_report(tmp_path, tmp_path / "new" / "deep" / "a.html", workers=3, progress=False)
    assert path == tmp_path / "new" / "deep" / "a.html"
    assert path.read_text() == (tmp_path / "report.html").read_text() == page_html(made, ())
    given = (tmp_path, made.build)
    assert calls == [(given, {"workers": 1, "progress": True}), (given, {"workers": 3, "progress": False})]
    with pytest.raises(DiskError, match=r"a\.html/b"):
        write_report(tmp_path, path / "b")

    def other(*args, **options):
        raise TypeError("odd")

    monkeypatch.setattr(page_module, "contact_sheets", other)
    with pytest.raises(DataError):
        write_report(tmp_path)
