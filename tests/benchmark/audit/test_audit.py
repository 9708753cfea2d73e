"""``audit`` flags planted confounds and no others, reads frames and data sets, and survives hostile files."""

import dataclasses
import json
import os

import numpy as np
import pandas as pd
import pytest

from benchmark.audit import audit
from benchmark.audit.open import dataset_photos
from benchmark.audit.power import smallest_effect
from benchmark.stats import table_p_value
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import UNLABELLED, Labels, PhotoSet
from builders.splits import cramers_v
from tests.benchmark.audit.planted import TRAITS, exif, jpeg, picture, planted
from tests.support.images import image_bytes


@pytest.mark.slow
@pytest.mark.parametrize("trait", [name for name in TRAITS if name != "earlier_quality"])
def test_audit__flags_the_planted_feature(trait):
    result = audit(planted(trait, 0.5, 300), progress=False)
    question = result.question(trait)
    assert question.flagged
    assert question.value == pytest.approx(0.5, abs=0.01)
    assert question.adjusted < 1e-6
    assert result.verdict.answer == "yes"
    assert result.verdict.effect == pytest.approx(0.5, abs=0.05)
    assert {c.group for c in question.carriers} == {"real", "fake"}
    assert question.carriers[0].share == pytest.approx(0.75, abs=0.01)
    assert question.carriers[0].elsewhere == pytest.approx(0.25, abs=0.01)
    layer = result.layer(question.layer)
    assert layer.accuracy == pytest.approx(0.75, abs=0.03)
    assert layer.chance == 0.5


def test_audit__verdict_names_accuracy_and_values():
    result = audit(planted("format", 0.9, 200), progress=False)
    assert result.verdict.text == (
        "The label can be predicted at 95 % from the file header alone (chance 50 %): 95 % of real have file format "
        "JPEG (5 % elsewhere); 95 % of fake have file format PNG (5 % elsewhere). Any classifier can use this."
    )


@pytest.mark.slow
def test_audit__double_compression_hides_from_headers_and_not_from_pixels():
    photos = planted("earlier_quality", 0.6, 240, side=96)
    headers = audit(photos, progress=False)
    assert headers.verdict.answer != "yes"
    assert headers.question("quality") is None
    pixels = audit(photos, pixels=240, progress=False)
    question = pixels.question("earlier_quality")
    assert question.flagged
    assert question.value == pytest.approx(0.6, abs=0.03)
    assert [c.value for c in question.carriers if c.group == "fake"] == ["JPEG about 60"]
    assert pixels.verdict.answer == "yes"


def test_audit__flags_nothing_without_a_confound():
    result = audit(planted("quality", 0.0, 300, seed=3), progress=False)
    assert result.verdict.answer != "yes"
    assert result.verdict.effect == 0
    assert result.verdict.text.startswith("No confound was found in the files of 300 photos")
    assert result.question("quality").value == 0


def test_audit__bytes_of_a_file_are_a_hint_and_no_verdict():
    rng = np.random.default_rng(0)
    busy = {f"busy/{i}": jpeg(picture(rng)) for i in range(60)}
    calm = {f"calm/{i}": jpeg(picture(rng).resize((8, 8)).resize((64, 64))) for i in range(60)}
    result = audit(PhotoSet.of_bytes("p", busy | calm, ["busy"] * 60 + ["calm"] * 60), progress=False)
    assert result.question("bytes").flagged
    assert result.question("bytes").content
    assert result.layer("weight").accuracy > 0.9
    assert result.verdict.answer != "yes"


def with_column(photos, name, values):
    return dataclasses.replace(photos, columns={name: np.array(values, dtype=object)})


def test_audit__one_source_for_each_class():
    photos = planted("quality", 1.0, 200)
    labels = [photos.labels.names[v] for v in photos.labels.values]
    result = audit(with_column(photos, "source", [f"site of {label}" for label in labels]), progress=False)
    assert result.question("source").value == pytest.approx(1)
    assert result.verdict.text.startswith("Each class comes from sources of its own")
    assert result.question("quality", "source").flagged
    assert result.layer("header", "source").accuracy == pytest.approx(1)


def test_audit__p_values_are_over_owners():
    # 40 owners with 25 photos each and one software; 20 owners a class: as good as 40 photos, not 1,000
    rng = np.random.default_rng(5)
    owners = np.repeat(np.arange(40), 25)
    labels = ["a" if owner < 20 else "b" for owner in owners]
    softwares = np.r_[np.arange(20) < 13, np.arange(20) < 7].astype(int)
    image = picture(rng)
    files = {f"{i}": jpeg(image, exif=exif(Software=f"v{softwares[owner]}")) for i, owner in enumerate(owners)}
    photos = PhotoSet.of_bytes("owners", files, labels)
    by_photo = audit(photos, progress=False)
    by_owner = audit(with_column(photos, "owner", [str(o) for o in owners]), progress=False)
    assert by_photo.question("software").p_value < 1e-6
    assert by_owner.question("software").p_value > 0.01
    assert not by_owner.question("software").flagged
    assert any("are over owners" in sentence for sentence in by_owner.findings)


@pytest.mark.parametrize(("column", "plural"), [("slide_id", "slides"), ("scene", "scenes"), ("re:^(..)", "clusters")])
def test_audit__names_its_units_by_their_column(column, plural, tmp_path):
    image = picture(np.random.default_rng(5))
    name = column if column.isidentifier() else "owner"
    lines = [f"image,label,{name}"]
    for i in range(60):
        (tmp_path / f"{i:03d}.jpg").write_bytes(jpeg(image, quality=80 + i % 3))
        lines.append(f"{i:03d}.jpg,class {i // 10 % 2},unit {i // 10}")
    (tmp_path / "T.csv").write_text("\n".join(lines))
    result = audit(f"table:{tmp_path}/T.csv?image=image&label=label&cluster={column}", progress=False)
    assert f"so few {plural} no association" in result.verdict.text
    assert any(f"over {plural}, because photos of one {plural[:-1]} err together" in text for text in result.findings)


@pytest.mark.slow
@pytest.mark.parametrize("owners", [20, 40])
def test_audit__few_owners_are_units_too_and_what_cannot_be_found_is_said(owners):
    """Labels and cameras at random by owner: nothing is confounded. Photos counted one by one would be flagged."""
    image, flagged = picture(np.random.default_rng(5)), []
    for seed in range(3):
        rng = np.random.default_rng([owners, seed])
        of_owner = np.arange(owners).repeat(15)
        labels = [f"class {k}" for k in rng.permutation(np.arange(owners) % 2)[of_owner]]
        software = rng.permutation(np.arange(owners) % 5)[of_owner]
        files = {f"{i}": jpeg(image, exif=exif(Software=f"v{k}")) for i, k in enumerate(software)}
        photos = with_column(PhotoSet.of_bytes("few", files, labels), "owner", [f"o{o}" for o in of_owner])
        result = audit(photos, progress=False)
        flagged.append(result.verdict.answer == "yes")
        assert result.question("software").tested == owners
    assert not any(flagged)
    if owners == 20:
        assert "With so few owners no association could have been found" in result.verdict.text
        assert result.smallest_effect == 1
    else:
        assert f"An association of V = {result.smallest_effect:.2f} or more" in result.verdict.text
    assert any(f"the sample has {owners} owners." in sentence for sentence in result.findings)


@pytest.mark.parametrize("owners", [1, 2, 3])
def test_audit__of_fewer_owners_than_folds_has_a_verdict(owners):
    """Both classes of every owner: folds are of owners, of which there are fewer than five."""
    image = picture(np.random.default_rng(5))
    files = {f"{i}": jpeg(image, quality=85 + i % 2) for i in range(60)}
    photos = PhotoSet.of_bytes("few", files, [f"class {i // 30}" for i in range(60)])
    result = audit(with_column(photos, "owner", [f"o{i % owners}" for i in range(60)]), progress=False)
    assert result.verdict.answer != "yes"
    headers = [(layer.n, layer.chance) for layer in result.layers if layer.layer == "header"]
    assert headers == [(60, 0.5)]


@pytest.mark.parametrize("classes", [50, 100])
def test_smallest_effect__of_many_classes_is_found(classes):
    """The claimed V between many classes and a trait of two values, by a permutation test in a family of 25."""
    n, tests = 40 * classes, 25
    effect = smallest_effect(n, tests, classes=classes)
    assert effect > smallest_effect(n, tests)
    label, measured = np.arange(n) % classes, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        trait = rng.random(n) < (1 + effect * np.where(label % 2, 1, -1)) / 2
        table = np.bincount(2 * label + trait, minlength=2 * classes).reshape(classes, 2).T
        measured += tests * table_p_value(table, permutations=199, seed=seed) < 0.01 and cramers_v(table) >= 0.05
    assert measured >= 16


def test_audit__near_duplicates_are_units_where_they_were_looked_for():
    """40 bursts of 4 copies, a class each: 40 pictures, not 160 photos."""
    rng = np.random.default_rng(6)
    bursts = [picture(rng) for _ in range(40)]
    files = {f"{i}/{k}": jpeg(burst, 60 + 10 * k) for i, burst in enumerate(bursts) for k in range(4)}
    labels = [f"class {int(name.split('/')[0]) % 2}" for name in files]
    photos = PhotoSet.of_bytes("bursts", files, labels)
    assert audit(photos, progress=False).question("quality").tested == 160
    assert audit(photos, near_duplicates=True, progress=False).question("quality").tested == 40


@pytest.mark.slow
def test_audit__splits_and_duplicates():
    rng = np.random.default_rng(0)
    files = {f"{i:03d}": jpeg(picture(rng), 75 if i < 100 else 92) for i in range(200)}
    files |= {"copy": files["000"]}
    splits = ["train"] * 100 + ["val"] * 101
    labels = ["a", "b"] * 100 + ["b"]
    result = audit(PhotoSet.of_bytes("s", files, labels, splits), near_duplicates=True, progress=False)
    assert result.question("quality", "split").value > 0.95
    assert not result.question("quality").flagged
    assert result.layer("header", "split").accuracy > 0.98
    same, near = result.duplicates
    assert (same.photos, same.groups, same.across_classes, same.across_splits) == (2, 1, 1, 1)
    assert same.examples == (("000", "copy"),)
    assert near.groups == 1
    assert result.verdict.answer == "yes"
    assert result.verdict.text.startswith("The split can be predicted at")


@pytest.mark.slow
def test_audit__a_bad_file_is_a_row():
    photos = planted("format", 0.5, 60)
    files = {i: photos.read(k) for k, i in enumerate(photos.ids)}
    hostile = {
        "empty": b"",
        "text": b"hello",
        "cut": jpeg(picture(np.random.default_rng(1)))[:40],
        "long": b"\xff\xd8\xff\xe0\xff\xff" + b"x" * 10,
        "png": b"\x89PNG\r\n\x1a\n" + b"\0" * 8,
        "webp": b"RIFF\0\0\0\0WEBPVP8 ",
        "heic": b"\0\0\0\x18ftypheic",
        "\x1b[31mred\udcff": b"GIF89a",
    }
    labels = [photos.labels.names[v] for v in photos.labels.values] + ["real"] * len(hostile)
    result = audit(PhotoSet.of_bytes("h", files | hostile, labels), pixels=68, progress=False)
    reasons = dict(result.failures)
    assert result.unreadable == len(reasons) == len(hostile)
    assert "empty" in reasons["empty"]
    assert "format" in reasons["text"]
    assert "before" in reasons["cut"]
    assert "\\x1b[31mred\\xff" in reasons
    assert result.photos == 60


def test_audit__photos_without_a_label():
    photos = planted("format", 0.5, 40)
    values = photos.labels.values.copy()
    values[:10] = UNLABELLED
    result = audit(dataclasses.replace(photos, labels=Labels(photos.labels.names, values)), progress=False)
    assert (result.photos, result.unlabelled) == (30, 10)
    with pytest.raises(UsageError, match="photo"):
        audit(PhotoSet.of_bytes("none", {"a": image_bytes(picture(np.random.default_rng(0)))}), progress=False)
    with pytest.raises(DataError, match="audited"):
        audit(PhotoSet.of_bytes("bad", {"a": b"x"}, ["real"]), progress=False)


def test_audit__one_class_is_not_a_clean_bill():
    result = audit(
        PhotoSet.of_bytes("one", {"a": image_bytes(picture(np.random.default_rng(0)))}, ["real"]), progress=False
    )
    assert result.verdict.text == "All 1 photos have one label, so there is nothing to predict."
    assert result.verdict.answer != "yes"


def test_audit__same_answer_twice_and_as_json():
    photos = planted("software", 0.4, 120)
    first, second = (audit(photos, progress=False) for _ in range(2))
    assert first == second
    assert json.loads(first.to_json())["questions"][0]["feature"] == first.questions[0].feature
    frame = first.to_frame()
    assert frame.loc[frame.feature == "software", "value"].item() == first.question("software").value


def test_audit__a_frame_of_paths(tmp_path):
    photos = planted("quality", 0.8, 80)
    rows = []
    for i in range(80):
        path = tmp_path / f"{i}.jpg"
        path.write_bytes(photos.read(i))
        rows.append({"path": str(path), "kind": photos.labels.names[photos.labels.values[i]], "site": i % 2})
    result = audit(pd.DataFrame(rows), label="kind", source="site", cache=tmp_path / "cache", progress=False)
    assert result.question("quality").value == pytest.approx(0.8, abs=0.03)
    assert result.question("source").value == pytest.approx(1)
    with pytest.raises(UsageError, match="unknown column 'kin'"):
        audit(pd.DataFrame(rows), label="kin", progress=False)
    with pytest.raises(UsageError, match="'path'"):
        audit(pd.DataFrame({"kind": ["a"]}), label="kind", progress=False)
    twice = pd.DataFrame({"path": ["a.jpg", "a.jpg"], "kind": ["a", "b"]})
    with pytest.raises(UsageError, match="frame"):
        audit(twice, label="kind", progress=False)
    with pytest.raises(UsageError, match="cannot be audited"):
        audit(7)


def test_audit__a_hugging_face_data_set():
    import datasets

    photos = planted("quality", 0.8, 80)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["fake", "real"])})
    rows = {
        "image": [{"bytes": photos.read(i), "path": None} for i in range(80)],
        "label": photos.labels.values.tolist(),
    }
    result = audit(datasets.Dataset.from_dict(rows, features=features), progress=False)
    assert result.classes == {"fake": 40, "real": 40}
    assert result.question("quality").value == pytest.approx(0.8, abs=0.03)
    assert not any(q.target == "split" for q in result.questions)


def test_dataset_photos__files_anywhere_are_read_and_what_is_no_file_is_a_failure(tmp_path):
    """The object is the user's: its files need not lie in one folder. Other cells are read as everywhere else."""
    import datasets

    picture = image_bytes(np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "x.png").write_bytes(picture)
    os.mkfifo(tmp_path / "fifo")
    paths = [tmp_path / "x.png", tmp_path / "fifo", tmp_path / "absent.png"]
    cells = [{"bytes": None, "path": str(path)} for path in paths] + [{"bytes": picture, "path": None}, None]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    photos = dataset_photos(datasets.Dataset.from_dict({"image": cells, "label": list("abcde")}, features=features))
    assert photos.read(0) == photos.read(3) == picture
    for row, reason in ((1, "regular"), (2, "No such file|there is no"), (4, "no image|neither bytes nor a path")):
        with pytest.raises(PhotoError, match=reason):
            photos.read(row)


@pytest.mark.slow
def test_audit__a_streamed_data_set_is_read_row_by_row(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    photos = planted("quality", 0.8, 80)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["fake", "real"])})
    cells = [{"bytes": photos.read(i), "path": None} for i in range(80)] + [{"bytes": None, "path": "/etc/hostname"}]
    rows = {"image": cells, "label": [*photos.labels.values.tolist(), 0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "data" / "train.parquet")
    result = audit(f"hub:{tmp_path / 'data'}", stream=True, progress=False)
    assert result.classes == {"fake": 40, "real": 40}
    assert result.question("quality").value == pytest.approx(0.8, abs=0.03)
    assert [reason for _, reason in result.failures] == ["the row holds no bytes of an image"]
    part = audit(f"hub:{tmp_path / 'data'}", stream=True, limit=60, pixels=60, progress=False)
    assert part.photos == 60
    assert part.layer("pixels").n == 60
    with pytest.raises(UsageError, match="needs --limit"):
        audit(f"hub:{tmp_path / 'data'}", stream=True, pixels=10, progress=False)
    with pytest.raises(UsageError, match="label column"):
        audit(f"hub:{tmp_path / 'data'}", label="kind", stream=True, progress=False)


def test_audit__a_card_of_a_notebook_is_html():
    text = audit(planted("format", 0.9, 40), progress=False)._repr_html_()
    assert "<section" in text
    assert "Confounded" in text
