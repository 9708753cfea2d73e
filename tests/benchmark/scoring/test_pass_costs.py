"""Estimates of passes: which views are measured, by which maker, for how many photos, and what the bank has already."""

import contextlib
import dataclasses
import io
import re
from types import SimpleNamespace

import pytest

from benchmark.cli.score import main
from benchmark.encoders import load_encoder
from benchmark.options import RunOptions
from benchmark.scoring.estimating import pass_costs
from benchmark.scoring.estimating.pass_costs import pass_times
from benchmark.tasks import Seconds, all_tasks
from builders.photos import PhotoSet
from tests.conftest import photo_bytes

pytestmark = pytest.mark.usefixtures("short_projection")

SHARPENING = ("knn/original", "knn/sharpening", "probe/sharpening")


def opened(names, count=8):
    ids = {f"{i}": photo_bytes(i) for i in range(count)}
    splits = ["train"] * (count // 2) + ["val"] * (count - count // 2)
    photos = PhotoSet.of_bytes("p", ids, [f"class {i % 2}" for i in range(count)], splits)
    return SimpleNamespace(photos=photos, tasks=[all_tasks()[name] for name in names])


@pytest.fixture
def rates(monkeypatch):
    """What is measured: (views, whether by a device, photos); each view of a photo takes 1 s to make, 2 s to embed."""
    measured = []

    def of(spec, encoder, photos, recipe, options, on_device, count):
        measured.append((recipe.names, on_device, count))
        seconds = count * len(recipe.names)
        return pass_costs._Rate(Seconds(1.0 * seconds, 0.5 * seconds), Seconds(2.0 * seconds, 3.0 * seconds))

    monkeypatch.setattr(pass_costs, "_measured", of)
    return measured


@pytest.fixture
def encoder():
    return load_encoder("control:random-projection", device="cpu")


class Lacks:
    """A bank that lacks views by the block of a photo."""

    def __init__(self, lacks):
        self.lacks = lacks
        self.blocks = self

    def __len__(self):
        return max(map(len, self.lacks.values()))

    def photos_of(self, block):
        return range(3 if block else 5)

    def missing(self, name):
        return {block for block, lacking in enumerate(self.lacks.get(name, ())) if lacking}


def test_pass_times__the_plain_photo_of_two_passes_is_made_once(rates, encoder):
    times = pass_times("a", encoder, opened(SHARPENING), RunOptions(limit=None))
    names = [name for views, _, _ in rates for name in views]
    assert sorted(names) == sorted(set(names))
    assert "original" in names
    assert (times.views, times.stored_views) == (8 * len(names), 0)
    assert (times.making_s, times.forward_s) == (times.views, 2 * times.views)
    assert (times.making_processor_s, times.forward_processor_s) == (0.5 * times.views, 3 * times.views)
    assert times.bank_bytes == times.views * 64 * 4


def test_pass_times__a_view_that_two_passes_share_is_not_there_already(rates, encoder):
    given = opened(["knn/original", "copies/edited"])
    first, second = pass_costs.planned_passes(given.tasks, given.photos, RunOptions())
    assert set(first.recipe.names) & set(second.recipe.names) == {"original"}
    times = pass_times("a", encoder, given, RunOptions())
    names = [name for views, _, _ in rates for name in views]
    assert names.count("original") == 1
    assert (times.views, times.stored_views) == (8 * len(names), 0)


def test_pass_times__only_what_the_bank_lacks(rates, encoder):
    """Block 0 (5 photos) lacks two views, block 1 (3 photos) one of them; the third view is there."""
    given = opened(["probe/sharpening"])
    views = given.tasks[0].recipe(given.photos, RunOptions()).names
    lacks = Lacks({views[0]: (True, False), views[1]: (True, True), views[2]: (False, False)})
    times = pass_times("a", encoder, given, RunOptions(), lambda recipe: lacks)
    assert sorted(rates) == sorted([((views[0], views[1]), False, 5), ((views[1],), False, 3)])
    assert (times.views, times.stored_views) == (13, 24 - 13)
    nothing = Lacks(dict.fromkeys(views, (False, False)))
    rates.clear()
    times = pass_times("a", encoder, given, RunOptions(), lambda recipe: nothing)
    assert (rates, times.views, times.bank_bytes, times.stored_views) == ([], 0, 0, 24)


@pytest.mark.parametrize(("workers", "by_device"), [(0, True), (16, False)])
def test_pass_times__views_by_the_maker_that_the_run_takes(rates, encoder, monkeypatch, workers, by_device):
    """16 workers with the engine make the views of a run on a card; with none it makes them itself."""
    from benchmark.views import choose

    monkeypatch.setattr(choose, "available_cores", lambda: 16)
    monkeypatch.setattr(choose, "chosen_engine", lambda: choose)
    monkeypatch.setattr(choose, "equals_pillow", lambda device: True)
    on_card = dataclasses.replace(encoder, device="cuda:0")
    given = opened(["probe/sharpening"])
    times = pass_times("a", on_card, given, RunOptions(workers=workers))
    assert [on_device for _, on_device, _ in rates] == [by_device]
    assert times.by_device == by_device
    assert f"made {'on cuda:0' if by_device else 'by the workers'}" in times.makers[0]


def test_measured__by_the_device_makes_the_views_there(encoder, monkeypatch):
    modes = []
    stream, fill = pass_costs.view_stream, pass_costs.fill_banks

    def streamed(*given, **options):
        modes.append(options["mode"])
        return stream(*given, **options)

    def filled(*given, **options):
        modes.append(options["views"])
        return fill(*given, **options)

    monkeypatch.setattr(pass_costs, "view_stream", streamed)
    monkeypatch.setattr(pass_costs, "fill_banks", filled)
    given = opened(["probe/sharpening"])
    recipe = given.tasks[0].recipe(given.photos, RunOptions())
    for on_device, mode in ((True, "device"), (False, "cpu")):
        rate = pass_costs._measured("a", encoder, given.photos, recipe, RunOptions(), on_device, 80)
        assert set(modes) == {mode}
        assert 0 < rate.making.processor < 30
        assert rate.forward.wall > 0
        modes.clear()


def test_measured__on_a_line_through_growing_parts(encoder, monkeypatch):
    """A pass takes 0.1 s, and 0.01 s for each photo: 6, 24 and 96 photos of 200 give the slope."""
    sizes = []

    def embed(spec, encoder, photos, recipe, options, on_device):
        sizes.append(len(photos))
        return 0.02 * len(photos), 0.1 + 0.01 * len(photos)

    monkeypatch.setattr(pass_costs, "_embed", embed)
    monkeypatch.setattr(pass_costs, "_make", lambda *_: Seconds(0.0, 0.0))
    photos = opened(["probe/sharpening"], 200).photos
    rate = pass_costs._measured("a", encoder, photos, None, RunOptions(), False, 200)
    assert sizes == [1, 6, 24, 96]
    assert rate.forward == pytest.approx((4.0, 2.1))
    sizes.clear()
    monkeypatch.setattr(pass_costs, "ENOUGH_S", 0.3)
    pass_costs._measured("a", encoder, photos, None, RunOptions(), False, 200)
    assert sizes == [1, 6, 24]


def test_measured__an_encoder_takes_no_less_than_nothing(encoder, monkeypatch):
    """Making views by itself may take longer than the pass that makes them too."""
    monkeypatch.setattr(pass_costs, "_embed", lambda *given: (0.5, 3.0))
    monkeypatch.setattr(pass_costs, "_make", lambda *given: Seconds(1.0, 4.0))
    photos = opened(["probe/sharpening"], 8).photos
    rate = pass_costs._measured("a", encoder, photos, None, RunOptions(), False, 12)
    assert rate == pass_costs._Rate(Seconds(2.0, 8.0), Seconds(1.0, 0.0))  # of 6 photos, twice as many


def dry_run(*words):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        assert main([*words, "--dry-run"]) == 0
    [row] = re.findall(r"^\| control:random-projection .*$", text.getvalue(), re.M)
    stages = re.findall(r"^\| (.+?) +\| +[\d.]+ \w+ \| +[\d.]+ \w+ \|$", text.getvalue(), re.M)
    return [cell.strip() for cell in row.strip("|").split("|")], stages


@pytest.mark.slow
def test_score__dry_run_looks_at_what_is_there(tmp_path, photo_folder):
    """Nothing, then the bank of one parameter, then all of it with its outcomes."""
    words = ["-m", "control:random-projection", "-d", f"folder:{photo_folder}", "--cache", str(tmp_path / "c")]
    words += ["-o", str(tmp_path / "out"), "-q", "--workers", "0"]
    both = [*words, "-t", "probe/sharpening,probe/resizing"]
    row, stages = dry_run(*both)
    assert row[7] == "nothing"
    views = int(row[3])
    assert main([*words, "-t", "probe/sharpening"]) == 0
    row, stages = dry_run(*both)
    shared = int(re.fullmatch(r"(\d+) views, 1 tasks", row[7])[1])
    assert (int(row[3]), "Processing probes" in stages) == (views - shared, True)
    assert main(both) == 0
    before = sorted(path for path in tmp_path.rglob("*"))
    row, stages = dry_run(*both)
    assert (row[3], row[7]) == ("0", f"{views} views, 2 tasks")
    assert "Processing probes" not in stages
    assert sorted(path for path in tmp_path.rglob("*")) == before
    row, _ = dry_run(*both, "--fresh")
    assert (int(row[3]), row[7]) == (views, "nothing")
