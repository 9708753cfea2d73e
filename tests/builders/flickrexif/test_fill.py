"""The second pass: more photos of rare classes by the names of their cameras; classes are read from Exif alone."""

import numpy as np
import pytest

from builders.errors import UsageError
from builders.exif import acquisition_from_tags, label
from builders.flickrexif.api.exif_answers import loads
from builders.flickrexif.cli.steps import main
from builders.flickrexif.search.fill_classes import fill, photos_of_classes
from builders.flickrexif.search.status import status_text
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import forget
from tests.builders.flickrexif.test_sample import Halt, client_of, opened, plan_of, run
from tests.support.flickr import KEY, SECRET, serving
from tests.support.flickr_world import START, World

END = START + 182 * 86400
WORLD = World(count=6000, burst=0, owners=3000)


def shots_of(world, make):
    return [at for at in range(world.count) if world.shot(at).make == make]


@pytest.fixture
def sampled(tmp_path):
    with serving(WORLD) as flickr, opened(tmp_path / "state") as state:
        run(state, flickr, plan_of(60, end=END))
        yield state, flickr


@pytest.mark.slow
def test_fill__adds_photos_to_the_rarest_classes(sampled):
    state, flickr = sampled
    before = photos_of_classes(state, "make")
    done = fill(state, client_of(state, flickr), plan_of(end=END), ["make"], per_class=12)
    after = photos_of_classes(state, "make")
    lacking = {name for name in ("Kodak", "samsung", "FUJIFILM", "Panasonic") if before[name] < 12}
    assert len(lacking) >= 3
    assert {one.name for one in done} >= lacking
    for one in done:
        assert after[one.name] >= one.after >= 12 > one.before >= before[one.name]
    rows = state.rows(
        "SELECT id, entries, sought, uploaded FROM photos JOIN exif ON photo_id = id WHERE source = 'fill'"
    )
    assert {row[2] for row in rows} <= {f"make: {one.name}" for one in done}
    assert all(START <= row[3] < END for row in rows)
    right = [label(acquisition_from_tags(loads(row[1])), "make") == row[2].removeprefix("make: ") for row in rows]
    assert np.mean(right) > 0.7  # some owners name another camera; the label comes from Exif
    owners = state.rows("SELECT count(*) FROM photos WHERE selected = 1 GROUP BY owner, month")
    assert max(row[0] for row in owners) <= 5
    assert "found for rare classes" in status_text(state)
    calls = state.value("SELECT count(*) FROM calls")
    assert fill(state, client_of(state, flickr), plan_of(end=END), ["make"], per_class=12) == []
    assert state.value("SELECT count(*) FROM calls") == calls


@pytest.mark.slow
def test_fill__resumed_run_ends_with_the_same_photos_and_requests_none_twice(tmp_path):
    selected = []
    for halt in (None, 25):
        with serving(WORLD) as flickr, opened(tmp_path / f"state-{halt}") as state:
            run(state, flickr, plan_of(60, end=END))
            if halt:
                with pytest.raises(Halt):
                    fill(state, client_of(state, flickr, halt), plan_of(end=END), ["make"], per_class=12)
            fill(state, client_of(state, flickr), plan_of(end=END), ["make"], per_class=12)
            assert set(flickr.exif_calls.values()) == {1}
            counts = photos_of_classes(state, "make")
            assert min(counts[name] for name in ("Kodak", "samsung", "SONY", "Apple")) >= 12
            selected.append({row[0] for row in state.rows("SELECT id FROM photos WHERE selected = 1")})
    assert len(selected[0] & selected[1]) / len(selected[0] | selected[1]) > 0.9


@pytest.mark.slow
def test_fill__respects_tombstones_and_refuses_invalid_requests(sampled):
    state, flickr = sampled
    owners = {WORLD.nsid(at) for at in shots_of(WORLD, "samsung")[:200]}
    forget(state, owners=sorted(owners))
    fill(state, client_of(state, flickr), plan_of(end=END), ["make"], per_class=12)
    assert not owners & {row[0] for row in state.rows("SELECT owner FROM photos")}
    with pytest.raises(UsageError, match="'iso'"):
        fill(state, client_of(state, flickr), plan_of(end=END), ["iso"])
    with pytest.raises(UsageError, match="search"):
        fill(state, client_of(state, flickr), plan_of(end=END, with_exif=False), ["make"])


def test_cli__fill_prints_its_results_and_the_photos_of_flickr(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLICKR_API_KEY", KEY)
    monkeypatch.setenv("FLICKR_API_SECRET", SECRET)
    with serving(World(count=3000, burst=0)) as flickr:
        arguments = ["search", "--state", str(tmp_path / "state"), "--from", "2012-03-01", "--to", "2012-08-31"]
        arguments += ["--calls-per-hour", "100000000", "--api-url", flickr.api_url, "--first-wait", "0.01"]
        assert main([*arguments, "--photos", "40"]) == 0
        capsys.readouterr()
        assert main([*arguments, "--fill", "make", "--per-class", "5", "--dry-run"]) == 0
        dry = capsys.readouterr().out
        assert main([*arguments, "--fill", "make", "--per-class", "5"]) == 0
        out = capsys.readouterr().out
        assert main([*arguments, "--fill", "make", "--per-class", "5"]) == 0
        assert "photos" in capsys.readouterr().out
    assert "0 photos checked; Flickr reports" in dry
    assert "of 5, " in out
    with State(tmp_path / "state") as state:
        assert state.setting("photos_wanted") == 40
