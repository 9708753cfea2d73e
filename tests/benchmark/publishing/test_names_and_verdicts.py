"""Names that are repositories, values of model pages, and the verdict on results that lack several things at once."""

import dataclasses

import pytest
import yaml

from benchmark.publishing import REPO, verified
from benchmark.publishing.files import PublishedFile, edited, result_path
from benchmark.publishing.model_pages import model_pages
from benchmark.publishing.provenance import HUB_MODEL, known_codecs
from benchmark.results import ResultFile

REPOS = ["a/b", "A_1/b-c", "own.er/na.me-1", "0/0", "a/b.", "a-/b"]
NO_REPOS = ["", "a", "a/", "/b", "a/b/c", "-a/b", ".a/b", "a/-b", "a/.b", "a b/c", "a/b c", "a/b\n", "a:b/c", "a/b@c"]


@pytest.mark.parametrize(("names", "is_repo"), [(REPOS, True), (NO_REPOS, False)])
def test_repo__owner_and_name_that_begin_with_a_letter_or_digit(names, is_repo):
    assert [bool(REPO.fullmatch(name)) for name in names] == [is_repo] * len(names)


MODELS = ["a/b", "-a/.b", "a/b@main", "a/b@refs/pr/1", "a/b@v1.0-rc_2", f"a/b@{'0' * 40}"]
NO_MODELS = ["a", "timm:a/b", "a/b/c", "a/b@", "a@b/c", "a/b@c@d", "a/b@c d", "a/b+leace", "weights:a", "a/b?x"]


@pytest.mark.parametrize(("ids", "is_model"), [(MODELS, True), (NO_MODELS, False)])
def test_hub_model__an_id_with_or_without_a_revision(make, ids, is_model):
    assert [bool(HUB_MODEL.fullmatch(name)) for name in ids] == [is_model] * len(ids)
    for name in ids:
        pages, left_out = model_pages(page_of(make.result(name, data="hub:own/set")), "own/results")
        assert [page.repo for page in pages] == ([name.partition("@")[0]] if is_model else [])
        assert [(none.encoder, none.reason) for none in left_out] == (
            [] if is_model else [(name, "it is not a model repository of the Hub")]
        )


def page_of(result):
    return [PublishedFile(result_path(result), result.to_json(), result)]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.123456, 12.35), (0.12344, 12.34), (1.0, 100.0), (0.0, 0.0), (2 / 3, 66.67)]
)
def test_model_pages__percent_with_two_decimals(make, value, shown):
    made = make.result("org/a", data="hub:own/set")
    score = dataclasses.replace(made.scores[0], value=value, low=value / 2, high=(1 + value) / 2)
    [page] = model_pages(page_of(dataclasses.replace(made, scores=(score,))), "own/results")[0]
    [entry] = yaml.safe_load(page.text)
    assert entry["value"] == shown
    assert f"95 % interval {50 * value:.2f} to {50 + 50 * value:.2f}, chance 16.67, 100 photos" in entry["notes"]


@pytest.mark.parametrize(
    ("revision", "is_shown"),
    [("0123456789abcdef" * 2 + "01234567", True), ("a" * 39, False), ("a" * 41, False), ("A" * 40, False),
     ("g" * 40, False), ("main", False), ("", False), (None, False)],
)  # fmt: skip
def test_model_pages__the_revision_of_the_data_where_it_is_a_commit(make, revision, is_shown):
    made = make.changed(make.result("org/a", data="hub:own/set"), "data", evidence={"revision": revision})
    [page] = model_pages(page_of(made), "own/results")[0]
    for entry in yaml.safe_load(page.text):
        assert entry["dataset"].get("revision") == (revision if is_shown else None)


def test_verified__of_several_reasons_the_first(make):
    """Edited, then what lacks, then what is private, then the codec: each is said only where none before it holds."""
    here = list(known_codecs().values())[-1]
    codec = {"codec": {"pillow": "99"}, "codec_canary": "0" * 16}
    faults = {
        "unknown codec": lambda made: make.changed(made, "environment", **codec),
        "private inputs": lambda made: make.changed(made, "data", name="folder:mine"),
        "lacks provenance": lambda made: make.changed(made, "encoder", pooling=""),
    }
    made = make.result("org/a")
    for verdict, fault in faults.items():
        made = fault(made)
        assert verified(ResultFile("a.json", made), here.canary).verdict == verdict
    named = ResultFile(result_path(make.result("org/a")), made)
    assert verified(named, here.canary).verdict == "edited"


def test_edited__only_a_file_with_the_name_of_a_published_result(make):
    made = make.result("org/a")
    path = result_path(made)
    folder, encoder, data, name = path.split("/")
    other = f"{'0' * 16}.json"
    assert name != other
    for where, expected in (
        (path, False),
        (f"{folder}/{encoder}/{data}/{other}", True),
        (f"{folder}/x/y/{other}", True),
        (f"{folder}/x/y/{name}", False),
        (f"mine/{encoder}/{data}/{other}", False),
        (f"{folder}/{encoder}/{other}", False),
        (f"{folder}/{encoder}/{data}/more/{other}", False),
        (f"{folder}/{encoder}/{data}/0{other}", False),
        (f"{folder}/{encoder}/{data}/{other[1:]}", False),
    ):
        assert edited(where, made) is expected, where
    text = made.to_json() + " "
    assert edited(path, made, text)
    assert not edited(result_path(made, text), made, text)
