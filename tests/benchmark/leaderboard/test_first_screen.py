"""The data of a report's first screen, without a browser: answers, published scores, places."""

import dataclasses

import pytest

from benchmark.leaderboard import write_report_page
from tests.benchmark.leaderboard.conftest import page_data


@pytest.fixture
def first_screen(tmp_path):
    def of(*results):
        write_report_page(results, "text", tmp_path / "report.html")
        return page_data(tmp_path / "report.html")["first"]

    return of


def of_study(make, scores):
    scores = [dataclasses.replace(s, n=50_000) for s in scores]
    made = make.result("timm/mine", scores, data="imagenet", preset=make.under_preset)
    return dataclasses.replace(made, data={**made.data, "photos": {"train": 1_281_167, "val": 50_000}})


@pytest.mark.slow
@pytest.mark.parametrize(("value", "ranks"), [(0.99, [48, 48]), (0.01, [1, 1])])
def test_places__least_trace_first(make, first_screen, value, ranks):
    places = first_screen(of_study(make, make.probes(*[value] * 4, protocol="iccv2025")))["places"]
    (place,) = [p for p in places if p["label"].startswith("Metadata prediction (MP), processing")]
    assert (place["ranks"], place["count"], place["encoder"]) == (ranks, 48, "timm/mine")


def test_places__of_an_accuracy_the_highest_first(make, first_screen):
    plain = make.score("knn/original", "accuracy", 0.999, k=10)
    spread = [dataclasses.replace(s, details={"k": 10}) for s in make.neighbours(0.999, 0.0)]
    places = first_screen(of_study(make, [plain, *spread]))["places"]
    accuracies = [place for place in places if "accuracy" in place["first"]]
    assert accuracies
    assert all((place["ranks"], place["count"]) == ([1, 1], 48) for place in accuracies)


def test_places__are_given_on_the_studys_photos_alone(make, first_screen):
    assert first_screen(make.result("timm/mine", make.probes(0.9, 0.9, 0.9, 0.9)))["places"] == []


def test_encoders__answers_and_findings_of_each(make, first_screen):
    screen = first_screen(*(make.result(f"timm/{name}", make.probes(0.9, 0.6, 0.7, 0.4)) for name in ("one", "two")))
    assert [encoder["name"] for encoder in screen["encoders"]] == ["timm/one", "timm/two"]
    assert all(len(encoder["answers"]) == 3 for encoder in screen["encoders"])
    (first,) = [f for f in screen["encoders"][0]["findings"] if f["task"] == "probe/jpeg"]
    assert (first["data"], first["metric"], first["kind"], first["n"]) == ("toy", "accuracy", "trace", 200)
    assert (first["value"], first["chance"]) == (0.9, pytest.approx(1 / 6))
    assert first["low"] < first["value"] < first["high"]
