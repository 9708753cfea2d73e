"""One file per view: finished views are never embedded again; missing and damaged ones are."""

import dataclasses
import json
import os

import numpy as np
import pytest
import torch

import benchmark.views.prefetch
import benchmark.views.recipe
from benchmark.bank import Bank, Blocks, PhotoHashes, bank_key, fill_banks, key_hash
from benchmark.bank.keys import LAYOUT
from benchmark.bank.view_file import ViewFile, view_key
from benchmark.encoders import Output
from benchmark.views import MaskedViews, PlainViews, ProcessingViews, StoredViews
from builders.errors import DataError
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS
from tests.support.images import ppm
from tests.support.processes import start_python
from tests.support.scoring import CountingEncoder

ALL = ProcessingViews(tuple(PROCESSINGS))
JPEG = ProcessingViews(tuple(name for name in PROCESSINGS if name.startswith("jpeg")))
INTERPOLATION = tuple(name for name in PROCESSINGS if name.startswith("interpolation"))


def some_photos(n: int = 10) -> PhotoSet:
    return PhotoSet.of_bytes("some", {f"{i}": ppm(i, 8, 12) for i in range(n)})


def middle(image) -> np.ndarray:
    """The pixel in the middle, three numbers."""
    return np.asarray(image)[image.height // 2, image.width // 2]


class Counting(CountingEncoder):
    """An encoder of three numbers that counts its views, and its banks."""

    def __init__(self, name: str = "toy", preprocess=middle) -> None:
        super().__init__(name, preprocess, 3, preprocessing={"size": 1})

    def bank(self, root, photos: PhotoSet, recipe, **options) -> Bank:
        key = bank_key(self.encoder.info, "float32", photos, PhotoHashes(photos).bytes_hash(), "float32")
        return Bank.open(root, key, recipe.view_keys(), **options)

    def fill(self, root, photos: PhotoSet, recipe, **options) -> tuple[Bank, int]:
        """The bank, and the number of views that were embedded for it."""
        before, bank = self.views, self.bank(root, photos, recipe, **options)
        fill_banks(photos, recipe, [self.encoder], [bank], workers=0)
        assert bank.complete
        return bank, self.views - before


def everything(bank: Bank) -> dict[str, list]:
    return {name: bank.view(name, np.arange(bank.blocks.photos))[:].tolist() for name in bank.names}


@pytest.fixture
def decoded(monkeypatch):
    """The photos that were decoded, as a list that grows."""
    seen, decode = [], benchmark.views.recipe.decode_rgb
    monkeypatch.setattr(
        benchmark.views.recipe, "decode_rgb", lambda data, **how: seen.append(data) or decode(data, **how)
    )
    return seen


@pytest.fixture
def made(monkeypatch):
    """Names of the views that were made, a tuple for each stream of a pass."""
    seen, stream = [], benchmark.views.prefetch.view_stream

    def counted(photos, indices, recipe, preprocesses, **options):
        seen.append(recipe.names)
        return stream(photos, indices, recipe, preprocesses, **options)

    monkeypatch.setattr(benchmark.views.prefetch, "view_stream", counted)
    return seen


def test_fill_banks__some_views_after_all_views_embed_nothing(tmp_path, decoded):
    photos, toy = some_photos(), Counting()
    assert toy.fill(tmp_path, photos, ALL)[1] == len(ALL.names) * 10
    decoded.clear()
    bank, embedded = toy.fill(tmp_path, photos, JPEG)
    assert (embedded, decoded) == (0, [])
    assert everything(bank) == everything(Counting().fill(tmp_path / "alone", photos, JPEG)[0])


def test_fill_banks__all_views_after_some_embed_only_the_missing_ones(tmp_path, decoded, made):
    photos, toy = some_photos(), Counting()
    assert toy.fill(tmp_path, photos, JPEG)[1] == 6 * 10
    decoded.clear()
    bank, embedded = toy.fill(tmp_path, photos, ALL)
    assert (embedded, len(decoded)) == ((len(ALL.names) - 6) * 10, 10)
    assert made == [JPEG.names, tuple(name for name in ALL.names if name not in JPEG.names)]
    assert everything(bank) == everything(Counting().fill(tmp_path / "at once", photos, ALL)[0])


def test_fill_banks__another_seed_embeds_only_views_that_depend_on_it(tmp_path):
    photos, toy = some_photos(), Counting()
    first, _ = toy.fill(tmp_path, photos, ALL)
    second, embedded = toy.fill(tmp_path, photos, dataclasses.replace(ALL, seed=1))
    assert embedded == len(INTERPOLATION) * 10
    assert {name for name in ALL.names if everything(first)[name] != everything(second)[name]} == set(INTERPOLATION)
    one, other = (dataclasses.replace(ALL, seed=seed).view_keys() for seed in (0, 1))
    assert {name for name in one if one[name] != other[name]} == set(INTERPOLATION)


def test_fill_banks__masked_views_of_two_ratios_share_the_view_whole(tmp_path):
    photos, toy = some_photos(), Counting()
    assert toy.fill(tmp_path, photos, MaskedViews(0.9))[1] == 3 * 10
    assert toy.fill(tmp_path, photos, MaskedViews(0.5))[1] == 2 * 10
    assert toy.fill(tmp_path, photos, MaskedViews(0.0))[1] == 0
    assert toy.fill(tmp_path, photos, MaskedViews(0.9))[1] == 0
    keys = [MaskedViews(ratio).view_keys() for ratio in (0.9, 0.5)]
    assert {name for name in keys[0] if keys[0][name] != keys[1][name]} == {"masked", "complement"}
    assert (keys[0]["masked"]["ratio"], keys[1]["complement"]["ratio"]) == (0.9, 0.5)


def test_view_keys__differ_for_all_views_with_different_pixels():
    stored = (StoredViews(("a",), ("a", "b")), StoredViews(("a",), ("b", "a")), StoredViews(("b",), ("a", "b")))
    recipes = (ALL, dataclasses.replace(ALL, seed=1), MaskedViews(0.9), MaskedViews(0.5), PlainViews(), *stored)
    hashes = {key_hash(view_key(view)) for recipe in recipes for view in recipe.view_keys().values()}
    shared = len(ALL.names) - len(INTERPOLATION) + 1  # processings without the seed, and ``whole``
    assert len(hashes) == sum(len(recipe.names) for recipe in recipes) - shared


@pytest.mark.parametrize("recipe", [ALL, MaskedViews(0.5), PlainViews(), StoredViews(("b", "c"), ("a", "b", "c"))])
def test_only__makes_the_same_views_in_the_same_order(recipe):
    wanted = recipe.names[::-2]
    some = recipe.only(wanted)
    assert some.names == tuple(name for name in recipe.names if name in wanted)
    assert some.view_keys() == {name: recipe.view_keys()[name] for name in some.names}
    assert (some.kind, some.settings()) == (recipe.kind, recipe.settings())
    assert some.merged(recipe).names == recipe.names
    if not isinstance(recipe, StoredViews):
        [made], [of_all] = (one.make(ppm(1, 8, 12), "1", [middle]) for one in (some, recipe))
        by_name = dict(zip(recipe.names, of_all, strict=True))
        assert [view.tolist() for view in made] == [by_name[name].tolist() for name in some.names]


LAYER = Output("layers[3]:mean", 3, 12, "block", "mean", 8, "hooks")


def test_view_key__contains_the_output():
    views = PlainViews().view_keys()
    assert view_key(views["original"]) == {"view": {"kind": "plain", "name": "original"}, "output": "final"}
    assert key_hash(view_key(views["original"])) != key_hash(view_key(views["original"], LAYER))
    assert key_hash(view_key(views["original"], LAYER)) != key_hash(
        view_key(views["original"], dataclasses.replace(LAYER, name="layers[3]:max"))
    )


@pytest.mark.parametrize("same_preprocess", [True, False])
def test_fill_banks__a_view_that_one_encoder_lacks_is_embedded_for_it_only(tmp_path, decoded, same_preprocess):
    photos = some_photos(70)
    has, lacks = Counting("has"), Counting("lacks", middle if same_preprocess else lambda image: middle(image) + 0)
    has.fill(tmp_path, photos, ALL)
    lacks.fill(tmp_path, photos, ALL)
    lacks.bank(tmp_path, photos, ALL, fresh=["resizing-x2", "jpeg-q85-444"])
    has.bank(tmp_path, photos, ALL, fresh=["jpeg-q85-444"])
    has.views = lacks.views = 0
    decoded.clear()
    banks = [one.bank(tmp_path, photos, ALL) for one in (has, lacks)]
    outcome = fill_banks(photos, ALL, [has.encoder, lacks.encoder], banks, workers=0)
    assert (has.views, lacks.views, outcome.views) == (70, 140, (70, 140))
    assert len(decoded) == 70
    assert everything(banks[0]) == everything(banks[1])


def test_fill_banks__blocks_that_lack_other_views_are_filled_in_other_parts(tmp_path, decoded):
    """Blocks of 64, 64 and 2 photos lack one view each, all, and none: two parts, each photo once."""
    photos, toy = some_photos(130), Counting()
    bank, _ = toy.fill(tmp_path, photos, JPEG)
    before = everything(bank)
    for name in JPEG.names:
        bank._views[name].forget([1])
        bank._views[name]._writable[64:128] = 0
    bank._views[JPEG.names[2]].forget([0])
    toy.views = 0
    decoded.clear()
    again, embedded = toy.fill(tmp_path, photos, JPEG)
    assert (embedded, len(decoded)) == (64 + 6 * 64, 128)
    assert everything(again) == before


def test_open__fresh_views_are_embedded_again(tmp_path):
    photos, toy = some_photos(), Counting()
    toy.fill(tmp_path, photos, ALL)
    assert toy.fill(tmp_path, photos, JPEG, fresh=JPEG.names[:2])[1] == 20
    assert toy.fill(tmp_path, photos, ALL)[1] == 0


@pytest.mark.parametrize("damage", [127, "marker", "checksum"])
def test_open__damaged_blocks_are_reported_and_made_again(tmp_path, capsys, damage):
    photos, toy = some_photos(150), Counting()
    bank, _ = toy.fill(tmp_path, photos, JPEG)
    before, name = everything(bank), JPEG.names[3]
    marker = bank._views[name].folder / "blocks" / "000001.json"
    if isinstance(damage, int):  # the block's first row, or its last
        bank._views[name]._writable[damage, 1] += 1
    else:
        raw = json.loads(marker.read_text())
        marker.write_text(marker.read_text()[:-9] if damage == "marker" else json.dumps({**raw, "crc32": 1}))
    assert bank.check() == {name: [1]}
    assert Bank.at(bank.folder).check() == {bank._views[name].folder.name: [1]}
    capsys.readouterr()
    again, embedded = toy.fill(tmp_path, photos, JPEG)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("camtrace: warning: toy: ")
    assert f"{name}: 1 of 3 finished blocks do not match their checksums; made again" in line
    assert (embedded, again.check(), everything(again)) == (64, {}, before)
    toy.bank(tmp_path, photos, JPEG)
    assert capsys.readouterr().err == ""


def test_check__rows_of_an_unfinished_block_do_not_count(tmp_path):
    photos, toy = some_photos(70), Counting()
    bank, _ = toy.fill(tmp_path, photos, JPEG)
    name = JPEG.names[0]
    bank._views[name].forget([1])
    bank.write_rows(name, 64, np.full((6, 3), 7, np.float32))
    assert bank.check() == {}
    assert bank.missing(name) == {1}


def test_at__a_missing_file_is_damage_and_another_layout_is_refused(tmp_path):
    photos, toy = some_photos(), Counting()
    bank, _ = toy.fill(tmp_path, photos, JPEG)
    lost = bank._views[JPEG.names[0]].folder
    (lost / "rows.npy").unlink()
    assert Bank.at(bank.folder).check() == {lost.name: [0]}
    key = json.loads((bank.folder / "key.json").read_text())
    (bank.folder / "key.json").write_text(json.dumps({**key, "layout": LAYOUT - 1}))
    with pytest.raises(DataError, match="a bank of layout 1"):
        Bank.at(bank.folder)
    with pytest.raises(DataError, match="bank"):
        Bank.at(tmp_path)


def test_open__banks_of_layout_1_are_not_changed(tmp_path):
    """Files of layout 1: a folder named by 20 hex digits, an array per view, markers of all views' blocks."""
    photos, toy = some_photos(), Counting()
    key = bank_key(toy.encoder.info, "float32", photos, PhotoHashes(photos).bytes_hash(), "float32")
    old_key = {**key, "layout": 1, "views": {"names": list(JPEG.names), "kind": "processing", "seed": 0}}
    old = tmp_path / key_hash(old_key)
    (old / "blocks").mkdir(parents=True)
    (old / "key.json").write_text(json.dumps(old_key))
    for name in JPEG.names:
        np.save(old / f"view-{name}.npy", np.zeros((10, 3), np.float32))
    (old / "blocks" / "000000.json").write_text('{"index": 0, "failures": {}, "source_jpeg": {}, "seconds": 0.0}')
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    bank, embedded = toy.fill(tmp_path, photos, JPEG)
    assert embedded == 60
    assert bank.folder.name == f"2-{key_hash(key)}"
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before


def no_dark(image) -> np.ndarray:
    """A preprocessing that refuses a picture whose middle is black."""
    result = middle(image)
    if not result.any():
        raise ValueError("too dark for me")
    return result


@pytest.mark.parametrize("first", ["whole", "all"])
def test_fill_banks__a_failure_is_of_a_single_view_whichever_views_are_made_together(tmp_path, first):
    """A masked photo is black in the middle: only its view ``masked`` fails."""
    photos, all_three = some_photos(), MaskedViews(0.5)
    toy, whole = Counting(preprocess=no_dark), all_three.only(["whole"])
    for recipe in (whole, all_three) if first == "whole" else (all_three, whole):
        toy.fill(tmp_path, photos, recipe)
    assert toy.bank(tmp_path, photos, whole).failures() == {}
    reason = "preprocessing failed (ValueError: too dark for me)"
    assert toy.bank(tmp_path, photos, all_three).failures() == {str(i): reason for i in range(10)}
    plain, _ = Counting("plain").fill(tmp_path, photos, all_three)
    expected, result = everything(plain), everything(toy.bank(tmp_path, photos, all_three))
    assert (result["whole"], result["complement"]) == (expected["whole"], expected["complement"])


def test_make_rows__never_replaces_an_existing_file(tmp_path):
    """Two processes create the file at the same time; the slower one must not replace it, since rows may be in it."""
    view = ViewFile.open(tmp_path / "v", {}, (4, 3), "float32")
    view.ensure_rows()
    view.write_rows(0, np.ones((4, 3), np.float32))
    view.finish_block(0, {}, {})
    view._make_rows()
    assert view.rows().tolist() == np.ones((4, 3)).tolist()
    assert view.damaged() == []
    assert sorted(path.name for path in view.folder.iterdir()) == ["blocks", "key.json", "rows.npy"]


def test_fill_banks__blocks_that_another_process_finishes_meanwhile_are_not_embedded_again(tmp_path, monkeypatch):
    photos, toy, other = some_photos(130), Counting(), Counting()
    plain, finish, finished = toy.embed, ViewFile.finish_block, []
    monkeypatch.setattr(ViewFile, "finish_block", lambda view, *args: finished.append(args[0]) or finish(view, *args))

    def interrupted(batch: torch.Tensor) -> torch.Tensor:
        if not other.views:
            other.fill(tmp_path, photos, JPEG)
        return plain(batch)

    slow = dataclasses.replace(toy.encoder, embed=interrupted)
    bank = toy.bank(tmp_path, photos, JPEG)
    fill_banks(photos, JPEG, [slow], [bank], workers=0)
    assert (other.views, toy.views) == (130 * 6, 64 * 6)
    # nor does this process write their markers again
    assert sorted(finished) == [0] * 6 * 2 + [1] * 6 + [2] * 6
    assert bank.complete
    assert bank.check() == {}
    assert everything(bank) == everything(Counting().fill(tmp_path / "alone", photos, JPEG)[0])


TWO = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_view_files as t
t.Counting().fill(Path(sys.argv[1]), t.some_photos(500), t.JPEG)
"""


@pytest.mark.slow
def test_fill_banks__two_processes_on_one_bank(tmp_path):
    here = os.path.dirname(os.path.abspath(__file__))
    both = [start_python("-c", TWO, tmp_path / "shared", here) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    photos = some_photos(500)
    shared, embedded = Counting().fill(tmp_path / "shared", photos, JPEG)
    assert embedded == 0
    assert shared.check() == {}
    assert everything(shared) == everything(Counting().fill(tmp_path / "alone", photos, JPEG)[0])


def test_blocks__cover_every_photo_once():
    for count in (1, 64, 65, 20_000, 20_001, 30_000):
        blocks = Blocks(count)
        assert [i for block in range(len(blocks)) for i in blocks.photos_of(block)] == list(range(count))
    assert (Blocks(20_000).size, Blocks(20_001).size) == (64, 1024)


def test_marker__its_content_has_a_checksum(tmp_path):
    view = ViewFile.open(tmp_path, view_key({"kind": "plain"}), (2, 3), "float32")
    view.ensure_rows()
    view.finish_block(0, {"a": "too large"}, {"4:2:0 quality 70": 2})
    path = tmp_path / "blocks" / "000000.json"
    text = path.read_text()
    assert view.damaged() == []
    for old, new in (("quality 70", "quality 71"), ("too large", "too larga"), ('70": 2', '70": 3'), ('"a"', '"b"')):
        assert old in text
        path.write_text(text.replace(old, new))
        assert view.damaged() == [0]
        assert view.markers() == []
    for strange in ("[]", "5", "{}", '{"index": 0}', "[" * 1000, "", text.replace("{", "[", 1)):
        path.write_text(strange)
        assert view.damaged() == [0]
    before = {k: v for k, v in json.loads(text).items() if k != "own_crc32"}
    path.write_text(json.dumps(before))  # of an older version
    assert view.damaged() == []


def test_rows__their_disk_space_is_reserved_before_they_are_written(tmp_path):
    view = ViewFile.open(tmp_path, view_key({"kind": "plain"}), (1000, 300), "float32")
    view.ensure_rows()
    status = (tmp_path / "rows.npy").stat()
    assert status.st_blocks * 512 >= status.st_size > 1_200_000
    assert not view.rows().any()
