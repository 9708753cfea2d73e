import csv
import dataclasses
import math
from collections import Counter
from importlib import resources

import pytest
from scipy.stats import binomtest

from benchmark.results import STUDY_GROUPS, published, published_encoders, reference_detectors


def test_published_encoders__counts():
    encoders = published_encoders()
    assert Counter(e.group for e in encoders) == {"CVL": 24, "SUP": 11, "SSL": 12}
    assert set(STUDY_GROUPS) == {"CVL", "SUP", "SSL"}
    for encoder in encoders:
        assert sum(not s.derived for s in encoder.scores) == 58
        assert sum(s.derived for s in encoder.scores) == 9
        names = [(s.task, s.data, s.metric) for s in encoder.scores]
        assert len(set(names)) == len(names)


def test_published_encoders__have_every_number_of_the_table_once():
    text = (resources.files("benchmark") / "data" / "iccv2025_per_encoder.csv").read_text(encoding="utf-8")
    for row, encoder in zip(csv.DictReader(text.splitlines()), published_encoders(), strict=True):
        assert encoder.name == row["encoder"]
        recalls = {float(v) for k, v in row.items() if k.startswith("recall1")}
        percents = [float(v) / 100 for k, v in row.items() if k not in ("encoder", "group") and "recall1" not in k]
        values = Counter(s.value for s in encoder.scores if not s.derived)
        assert values == Counter([*percents, *(float(row[f"recall1_{m}"]) for m in ("same", "different"))])
        assert recalls <= set(values)


@pytest.mark.parametrize(
    ("group", "means"),
    [("CVL", (72.3, 75.5, 85.2, 48.3)), ("SUP", (42.0, 59.1, 68.0, 38.2)), ("SSL", (35.7, 57.3, 55.5, 32.3))],
)
def test_published_encoders__group_means_that_the_study_prints(group, means):
    members = [e for e in published_encoders() if e.group == group]
    for parameter, mean in zip(("jpeg", "sharpening", "resizing", "interpolation"), means, strict=True):
        values = [e.score(f"probe/{parameter}", "imagenet", "accuracy").value for e in members]
        assert round(100 * math.fsum(values) / len(values), 1) == mean


def test_published_encoders__best_jpeg_and_differences():
    best = max(published_encoders(), key=lambda e: e.score("probe/jpeg", "imagenet", "accuracy").value)
    assert best.name == "OpenCLIP (ConvNeXt-L, LAION-2B)"
    assert round(best.score("probe/jpeg", "imagenet", "accuracy").value, 3) == 0.906
    clip = published_encoders()[0]
    spd = clip.score("retrieval/pairs", "paircams", "spd")
    assert spd.value == pytest.approx(0.9931507110595703 - 0.8842465579509735)
    assert spd.derived
    assert spd.chance == 0
    with pytest.raises(KeyError, match="uniform-test"):
        clip.score("knn/jpeg", "imagenet", "uniform-test")


def test_published_encoders__intervals_are_wilsons():
    score = published_encoders()[0].score("probe/is-smartphone", "flickrexif", "accuracy")
    assert score.value == pytest.approx(0.721)
    reference = binomtest(721, 1000).proportion_ci(method="wilson")
    assert (score.low, score.high) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_published_encoders__values_lie_in_their_intervals():
    for encoder in published_encoders():
        for score in encoder.scores:
            assert -1 <= score.low <= score.value <= score.high <= 1
            assert score.n > 0


def test_reference_detectors__each_column_under_its_name():
    text = (resources.files("benchmark") / "data" / "published_detectors.csv").read_text(encoding="utf-8")
    lines = [{**line, "percent": float(line["percent"])} for line in csv.DictReader(text.splitlines())]
    assert [dataclasses.asdict(row) for row in reference_detectors.published_detectors()] == lines


def test_published__facts_of_the_study_and_its_data_sets():
    text = (resources.files("benchmark") / "data" / "iccv2025_columns.csv").read_text(encoding="utf-8")
    of_content = [line for line in csv.DictReader(text.splitlines()) if line["task"][:4] == "knn/" and line["classes"]]
    assert {line["data"]: int(line["classes"]) for line in of_content} == dict(published.STUDY_CLASSES)
    # ImageNet (Russakovsky et al., IJCV 2015, table 2) and iNaturalist 2018 (Van Horn et al., the challenge's page)
    assert dict(published.TRAIN_PHOTOS) == {"imagenet": 1_281_167, "inat2018": 437_513}
    assert (published.STUDY_URL, published.STUDY_DATE) == ("https://arxiv.org/abs/2508.10637", "2025-10-19")
    assert dict(STUDY_GROUPS) == {
        "CVL": "contrastive visual-language",
        "SUP": "supervised",
        "SSL": "self-supervised",
    }


def test_published_encoders__chance_and_counts_are_those_of_the_columns():
    text = (resources.files("benchmark") / "data" / "iccv2025_columns.csv").read_text(encoding="utf-8")
    lines = {(line["task"], line["data"], line["metric"]): line for line in csv.DictReader(text.splitlines())}
    for encoder in published_encoders()[::9]:
        by_name = {(s.task, s.data, s.metric): s for s in encoder.scores}
        assert list(by_name) == list(lines)
        for key, score in by_name.items():
            line = lines[key]
            assert score.derived == (" - " in line["column"])
            if not score.derived:
                assert (score.n, score.chance) == (int(line["n"]), 1 / int(line["classes"]))
                continue
            more, less = (by_name[(*key[:2], metric)] for metric in line["column"].split(" - "))
            assert (score.n, score.chance, score.value) == (more.n, 0.0, more.value - less.value)
            low = math.hypot(more.value - more.low, less.high - less.value)
            high = math.hypot(more.high - more.value, less.value - less.low)
            ends = max(-1.0, score.value - low), min(1.0, score.value + high)
            assert (score.low, score.high) == pytest.approx(ends)
