"""The data of a report's first screen, without a browser: answers, published scores, places."""

import dataclasses

import pytest

from benchmark.leaderboard import first_screen as module
from benchmark.leaderboard.entries import ResultFile, measured_entries
from benchmark.leaderboard.first_screen import first_screen
from benchmark.results import published_encoders
from benchmark.results.published import PublishedEncoder, PublishedScore


@pytest.fixture
def under_preset(make):
    def result(*values, name="timm/mine"):
        scores = [dataclasses.replace(s, n=50_000) for s in make.probes(*values, protocol="iccv2025")]
        made = make.result(name, scores, data="imagenet", preset=make.under_preset)
        return dataclasses.replace(made, data={**made.data, "photos": {"train": 1_281_167, "val": 50_000}})

    return result


def entries_of(results):
    return measured_entries([ResultFile(f"{at}.json", result) for at, result in enumerate(results)])


@pytest.mark.parametrize(("values", "ranks"), [((0.99,) * 4, [48, 48]), ((0.01,) * 4, [1, 1])])
def test_places__least_trace_first(under_preset, values, ranks):
    result = under_preset(*values)
    screen = first_screen([result], entries_of([result]), published_encoders())
    place = next(p for p in screen["places"] if p["label"].startswith("Metadata prediction (MP), processing"))
    assert place["ranks"] == ranks
    assert (place["encoder"], place["count"], place["first"]) == ("timm/mine", 48, "least trace first")
    assert place["data"] == "ImageNet"


def test_places__are_given_on_the_studys_photos_alone(make):
    result = make.result("timm/mine", make.probes(0.9, 0.9, 0.9, 0.9))
    assert first_screen([result], entries_of([result]), published_encoders())["places"] == []
    assert not module._on_published_photos([result])


def test_encoders__answers_and_findings_of_each(make):
    results = [make.result(f"timm/{name}", make.probes(0.9, 0.6, 0.7, 0.4)) for name in ("one", "two")]
    screen = first_screen(results, entries_of(results), [])
    assert [encoder["name"] for encoder in screen["encoders"]] == ["timm/one", "timm/two"]
    assert all(len(encoder["answers"]) == 3 for encoder in screen["encoders"])
    findings = {f["task"]: f for f in screen["encoders"][0]["findings"]}
    first = findings["probe/jpeg"]
    assert (first["data"], first["metric"], first["kind"], first["n"]) == ("toy", "accuracy", "trace", 200)
    assert (first["value"], first["chance"]) == (0.9, pytest.approx(1 / 6))
    assert (first["low"], first["high"]) == (
        pytest.approx(0.877, abs=1e-3),
        pytest.approx(0.923, abs=1e-3),
    )  # corrected
    assert screen["published"] == {}


def published(name, data, value):
    return PublishedEncoder(name, "SSL", (PublishedScore("probe/jpeg", data, "accuracy", value, 0, 1, 10, 0.25),))


def test_published__scores_of_the_same_photos_else_of_the_most_encoders(make):
    study = [published("a", "imagenet", 0.50004), published("b", "imagenet", 0.3), published("c", "inat2018", 0.7)]
    of = {}
    for data in ("toy", "inat2018"):
        result = make.result("timm/one", make.probes(0.9), data=data)
        of |= first_screen([result], entries_of([result]), study)["published"]
    assert of == {
        "probe/jpeg~accuracy~toy": {"data": "ImageNet", "chance": 0.25, "values": [0.3, 0.5]},
        "probe/jpeg~accuracy~inat2018": {"data": module.LABELS["inat2018"], "chance": 0.25, "values": [0.7]},
    }


def test_places__of_an_accuracy_the_highest_first(make):
    plain = [dataclasses.replace(make.score("knn/original", "accuracy", 0.999, k=10), n=50_000)]
    spread = [dataclasses.replace(s, n=50_000, details={"k": 10}) for s in make.neighbours(0.999, 0.0)]
    made = make.result("timm/mine", [*plain, *spread], data="imagenet", preset=make.under_preset)
    result = dataclasses.replace(made, data={**made.data, "photos": {"train": 1_281_167, "val": 50_000}})
    places = first_screen([result], entries_of([result]), published_encoders())["places"]
    accuracies = [place for place in places if place["first"] == "highest accuracy first"]
    assert [(place["ranks"], place["count"]) for place in accuracies] == [([1, 1], 48)] * len(accuracies)
    assert accuracies
    assert {place["first"] for place in places} <= {"highest accuracy first", "least trace first"}
