"""The code of published cards is run by the unmodified client against the Hub double."""

import functools
import json
import re

import pyarrow.parquet as pq
import pytest
import yaml
from datasets import ClassLabel, Features, Image, Value

from benchmark.publishing.table import SCHEMA
from builders.__main__ import main
from builders.dataset import read_build
from builders.flickrexif.assemble.rows import METADATA_FEATURES
from builders.paircams import PAIR_FEATURES
from builders.processed import write_recipe
from builders.publish.cli import PLACEHOLDER, VIEWER_MARK, card_in
from tests.builders.publish.test_publish import client
from tests.support.hub import HubDouble
from tests.support.records import check_keys

pytestmark = pytest.mark.slow

ALONE = "import datasets\ndatasets.config.USE_PARQUET_EXPORT = False  # it asks another host than the Hub\n"

SHOW = """
import json
print(json.dumps([data.features["image"].decode, files.features["image"].decode, len(data), first[:2].hex(),
                  [part for part in sorted(data.column_names) if part in {columns}]]))
"""


def code_of(card: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)


def build(folder, photo_folder, kind):
    """A small data set of each kind that needs no photos of others."""
    commands = {
        "processed": ["folder", "--source", photo_folder, "--parameter", "sharpening,jpeg", "--assignment", "uniform"],
        "simcams": ["simcams", "--scenes", "4", "--size", "32", "--configs", "make,iso", "--workers", "1"],
        "simpairs": ["simcams", "--pairs", "--scenes", "2", "--size", "32", "--workers", "1"],
    }
    assert main([*map(str, commands[kind]), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def built(photo_folder, tmp_path_factory):
    """The folder of a kind, built when it is first asked for and never changed."""
    return functools.cache(lambda kind: build(tmp_path_factory.mktemp("built") / kind, photo_folder, kind))


@pytest.mark.parametrize("kind", ["processed", "simcams", "simpairs"])
def test_card__its_code_runs_after_a_push(hub: HubDouble, tmp_path, built, kind):
    repo = f"camtrace/{kind}"
    folder = built(kind)
    done = client(hub, tmp_path / "home", "-m", "builders", "publish", folder, "--repo", repo, "--push")
    assert done.returncode == 0, done.stderr
    card = hub.repo(repo).files["README.md"].decode()
    (code,) = code_of(card)
    assert repo in code
    columns = {"processed": ["sharpening"], "simcams": ["iso", "make"], "simpairs": ["pair_id"]}[kind]
    shown = client(hub, tmp_path / "reader", "-c", ALONE + code + SHOW.replace("{columns}", repr(columns)))
    assert shown.returncode == 0, shown.stderr[-2000:]
    default = read_build(folder).splits[0]
    assert json.loads(shown.stdout) == [True, False, default.rows, "ffd8", columns]
    assert f"https://huggingface.co/datasets/{repo}/embed/viewer" in card


def test_card__of_a_recipe_names_its_repository(hub: HubDouble, tmp_path, photo_folder):
    folder = build(tmp_path / "processed", photo_folder, "processed")
    options = ("--repo", "camtrace/recipe", "--recipe", "--push")
    done = client(hub, tmp_path / "home", "-m", "builders", "publish", folder, *options)
    assert done.returncode == 0, done.stderr
    (code,) = code_of(hub.repo("camtrace/recipe").files["README.md"].decode(), "bash")
    command = next(line for line in code.splitlines() if line.startswith("camtrace "))
    given = command.replace("PATH_OF_YOUR_COPY", str(photo_folder)).replace(
        "--output out", f"--output {tmp_path}/again"
    )
    again = client(hub, tmp_path / "reader", "-m", "benchmark", *given.split()[1:])
    assert again.returncode == 0, again.stderr
    assert "every image is as the recipe says" in again.stdout


def test_card_in__touches_code_and_the_mark_alone():
    table = f"| {PLACEHOLDER} | {VIEWER_MARK} |\n"
    text = f"# {PLACEHOLDER}\n\n```python\nload({PLACEHOLDER!r})\n```\n\n{VIEWER_MARK}\n\n{table}"
    card = card_in(text, "me/mine")
    assert card.startswith(f"# {PLACEHOLDER}\n\n```python\nload('me/mine')\n```\n\n[Rows in the Hub's viewer](https://")
    assert card.endswith(table)
    assert card_in(card.replace(VIEWER_MARK, ""), "other/name") == card.replace(VIEWER_MARK, "")


DESCRIBED = {"bool", "float32", "float64", "int8", "int16", "int32", "int64", "large_string", "string"}
"""Types of values that the Hub's generator of Croissant names; others are left out of what it writes."""


def undescribed(features: Features) -> list[str]:
    """Columns that a Croissant description made by the Hub would lack, or rename."""
    return [
        name
        for name, feature in features.items()
        if not (isinstance(feature, ClassLabel | Image) or (isinstance(feature, Value) and feature.dtype in DESCRIBED))
        or re.search(r"[^a-zA-Z0-9_.-]", name)
    ]


@pytest.mark.parametrize("kind", ["processed", "simcams", "simpairs"])
def test_columns__are_all_of_types_that_the_hub_describes(built, kind):
    result = read_build(built(kind))
    check_keys(f"build.json of {kind}", json.loads((built(kind) / "build.json").read_text("utf-8")))
    for shard in result.shards:
        features = Features.from_arrow_schema(pq.read_schema(built(kind) / shard.file))
        assert len(features) >= 8
        assert undescribed(features) == []
    assert undescribed(Features(dict.fromkeys(result.configs, Value("string")))) == []
    assert 0 < len(result.configs) < 100


def test_columns__of_tables_without_photos_are_described_too(tmp_path, built):
    recipe = write_recipe(built("processed"), tmp_path / "recipe")
    for shard in recipe.shards:
        assert undescribed(Features.from_arrow_schema(pq.read_schema(tmp_path / "recipe" / shard.file))) == []
    for features in (PAIR_FEATURES, METADATA_FEATURES, Features.from_arrow_schema(SCHEMA)):
        assert undescribed(features) == []
    assert undescribed(Features({"a/b": Value("string"), "date": Value("timestamp[s]"), "n": Value("int64")})) == [
        "a/b",
        "date",
    ]


@pytest.mark.parametrize(("kind", "sources"), [("processed", None), ("simcams", ["original"])])
def test_card__says_language_sources_and_columns(built, kind, sources):
    folder = built(kind)
    front = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert front["language"] == ["en"]
    assert front.get("source_datasets") == sources
    build_ = read_build(folder)
    infos = {info["config_name"]: info for info in front["dataset_info"]}
    assert {(c, s["name"]): s["num_examples"] for c, info in infos.items() for s in info["splits"]} == {
        (split.config, split.split): split.rows for split in build_.splits
    }
