"""What an own copy fetches, writes and reports, by doubles of what it calls."""

from dataclasses import replace
from types import SimpleNamespace

import datasets
import pytest
from datasets import ClassLabel, Features, Value

from builders.dataset import Card
from builders.flickrexif.assemble import local_copy as module
from builders.flickrexif.assemble.local_copy import LocalCopy, load_local_copy
from builders.flickrexif.assemble.rows import photo_features
from builders.flickrexif.fetch.transfer import FetchPlan
from builders.flickrexif.store.photos import ImportedPhoto
from builders.flickrexif.store.tombstones import Tombstones, forget
from tests.builders.flickrexif.test_assemble_calls import TEXTS
from tests.builders.flickrexif.test_funnel import file, fill

NAMES = {"make": ["Canon", "NIKON"], "iso": ["100", "200"]}


def part(config, *rows):
    """Rows (id, owner, class of the config, published hash) of one split."""
    features = Features({**dict.fromkeys(TEXTS, Value("string")), "width": Value("int32"), "height": Value("int32"),
                         config: ClassLabel(names=NAMES[config]), "note": Value("string")})  # fmt: skip
    columns = {name: [f"{name} of {row[0]}" for row in rows] for name in (*TEXTS, "note")}
    columns |= {
        "photo_id": [row[0] for row in rows],
        "owner": [row[1] for row in rows],
        config: [row[2] for row in rows],
    }
    columns |= {
        "sha256": [row[3] for row in rows],
        "width": [4] * len(rows),
        "height": [3] * len(rows),
        "size": ["o"] * len(rows),
    }
    columns["licence"] = ["cc0-1.0" if row[0] < "3" else "cc-by-2.0" for row in rows]
    return datasets.Dataset.from_dict(columns, features=features)


PARTS = {
    "make": {
        "train": part("make", ("1", "1@N01", 1, "h1"), ("2", "2@N01", 0, "")),
        "test": part("make", ("3", "3@N01", 0, "")),
    },
    "iso": {"train": part("iso", ("2", "2@N01", 1, ""), ("4", "4@N01", 0, "h4"), ("5", "5@N01", 0, "h5"))},
}


@pytest.fixture
def loading(state, monkeypatch, tmp_path):
    """Load by doubles. Photo 3 is taken down by its tombstone in the data set, 5 by one of the state; 4 is gone."""
    forget(state, owners=["5@N01"])
    failed = {**file(4, "gone", "gone"), "error": "http 404"}
    stored = {"size": "o", "url": "u", "sha256": "s1"}
    fill(state, "files", {**file(1, "ok"), **stored, "path": "files/1.jpg"},
         {**file(2, "ok"), **stored, "path": "files/2.jpg", "sha256": "s2"}, failed)  # fmt: skip

    def run(shared=None, **options):
        calls = {}

        def double(name, value):
            monkeypatch.setattr(module, name, lambda *given, **named: calls.setdefault(name, (given, named)) and value)

        recipe = {"pixels": False, "label_set": "reference", "splits": {"seed": "4"}}
        build = SimpleNamespace(configs=("make", "iso", "metadata", "photos"), recipe=recipe)
        published = SimpleNamespace(build=build, tombstones=Tombstones.of([("photo", "3")]), rows=PARTS.__getitem__,
                                    repo=SimpleNamespace(local=False, location="org/photos"))  # fmt: skip
        monkeypatch.setattr(
            module, "import_photos", lambda state, photos: calls.setdefault("import", (state, list(photos)))
        )
        monkeypatch.setattr(
            module, "DatasetRepo", lambda source, revision: calls.setdefault("repo", (source, revision))
        )
        double("_read", published)
        failures = (SimpleNamespace(id="4", reason="http 404"),)
        written = [SimpleNamespace(config="make", failures=()), SimpleNamespace(config="iso", failures=failures)]
        for name, value in {
            "fetch": "counts", "prepare_folder": None, "write_photos": (shared and shared(written), written),
            "add_folder_tombstones": None, "finish_folder": "finished",
        }.items():  # fmt: skip
            double(name, value)
        plan = FetchPlan(connections=3, sizes=("o",))
        copy = load_local_copy("org/photos", state, tmp_path / "out", plan, revision="r1", **options)
        return copy, written, plan, calls

    return run


def test_load__what_is_handed_on(loading, state, tmp_path):
    state.set("built", ["/another"])
    copy, written, plan, calls = loading()
    assert copy == LocalCopy("finished", "counts", taken_down=2, loaded=2, unpinned=1, missing=1)
    assert calls["repo"] == ("org/photos", "r1")
    given_state, photos = calls["import"]
    assert given_state is state
    urls = {i: {"o": (f"url of {i}", 4, 3)} for i in (1, 2, 4)}
    assert photos == [
        ImportedPhoto(1, "1@N01", urls[1], licence=9, expected_sha256="h1"),
        ImportedPhoto(2, "2@N01", urls[2], licence=9),
        ImportedPhoto(4, "4@N01", urls[4], licence=4, expected_sha256="h4"),
    ]
    assert calls["fetch"] == ((state, replace(plan, sizes=("any",))), {})
    out = tmp_path / "out"
    assert calls["prepare_folder"] == ((out, ["photos"]), {})
    (parts, maker, columns, output), named = calls["write_photos"]
    assert [(p.config, p.split, p.names, p.photos.tolist(), p.labels.tolist()) for p in parts] == [
        ("make", "train", ("Canon", "NIKON"), [0, 1], [1, 0]), ("make", "test", ("Canon", "NIKON"), [], []),
        ("iso", "train", ("100", "200"), [1, 2], [1, 0]),
    ]  # fmt: skip
    assert columns == photo_features(NAMES, pixels=True)
    assert (output, named) == (out, {})
    assert (maker.folder, maker.paths, maker.pixels) == (
        str(state.folder.resolve()), ("files/1.jpg", "files/2.jpg", None), True,
    )  # fmt: skip
    assert maker.reasons == {"4": "http 404"}
    assert [list(row) for row in maker.columns] == [[*TEXTS, "width", "height"]] * 3
    assert [row["sha256"] for row in maker.columns] == ["h1", "unpinned:s2", "h4"]
    assert [row["photo_id"] for row in maker.columns] == ["1", "2", "4"]
    (folder, tombstones), _ = calls["add_folder_tombstones"]
    assert (folder, tombstones) == (out, Tombstones.of([("photo", "3"), ("owner", "5@N01")]))
    assert state.setting("built") == sorted(["/another", str(out.resolve())])
    (output,), named = calls["finish_folder"]
    card = named.pop("card")
    assert (output, named) == (out, {
        "kind": "flickrexif", "splits": written, "features": {"make": columns, "iso": columns}, "default": "make",
        "recipe": {"copy_of": {"pixels": False, "label_set": "reference", "splits": {"seed": "4"}},
                   "configs": ["make", "iso"]},
        "pixels": module.NOT_FOR_REDISTRIBUTION, "shared": None,
        "counted": {"make": ["make"], "iso": ["iso"], "photos": []},
    })  # fmt: skip
    assert type(card) is Card
    assert {name: card.context[name] for name in ("left_out", "licences", "unpinned", "photos", "owners")} == {
        "left_out": {"taken down": 2, "not to be had": 1}, "licences": {"cc0-1.0": 2}, "unpinned": 1, "photos": 2,
        "owners": 2,
    }  # fmt: skip


def test_load__some_configs_whose_files_are_shared(loading):
    def shared(written):
        return SimpleNamespace(splits=lambda: written)

    copy, written, _, calls = loading(shared=shared, configs=["iso"])
    assert (copy.taken_down, copy.loaded, copy.missing, copy.unpinned) == (1, 1, 1, 1)
    parts = calls["write_photos"][0][0]
    assert [(p.config, p.split, p.photos.tolist()) for p in parts] == [("iso", "train", [0, 1])]
    named = calls["finish_folder"][1]
    assert (named["splits"], named["default"], named["recipe"]["configs"]) == ((), "iso", ["iso"])
    assert named["shared"].splits() is written
    assert named["counted"] == {"iso": ["iso"], "photos": []}
