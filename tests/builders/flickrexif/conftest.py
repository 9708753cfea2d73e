"""Shared fixtures: a state after search and fetch, and data sets that are built from it."""

import shutil
import time

import pytest

from builders.flickrexif.assemble.build import BuildPlan, build
from builders.flickrexif.assemble.inspect_files import inspect_files
from builders.flickrexif.fetch.fetch import fetch
from builders.flickrexif.fetch.transfer import FetchPlan
from builders.flickrexif.store.store import State
from tests.support.flickr import PLAN, add, serving
from tests.support.flickr_builds import WORLD


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder for each test, for the call budgets of keys."""
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def flickr():
    with serving(WORLD) as double:
        yield double


@pytest.fixture(scope="session")
def fetched(flickr, tmp_path_factory):
    """A state with inspected files, licences and authors, as after search and fetch."""
    folder = tmp_path_factory.mktemp("fetched") / "state"
    with State(folder, create=True) as state:
        add(state, flickr, range(WORLD.count))
        with state.transaction() as db:
            db.executemany(
                "UPDATE photos SET licence = ?, licence_checked = 1.6e9, owner_name = ?, title = 'T' WHERE id = ?",
                [(int(WORLD.licence[at]), f"Owner {at}", int(WORLD.ids[at])) for at in range(WORLD.count)],
            )
        fetch(state, FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l")}))
        inspect_files(state)
    return folder


@pytest.fixture(scope="session")
def with_pixels(fetched, tmp_path_factory):
    return built(fetched, tmp_path_factory.mktemp("with_pixels"), pixels=True, contact="me@example.org")


@pytest.fixture(scope="session")
def without_pixels(fetched, tmp_path_factory):
    return built(fetched, tmp_path_factory.mktemp("without_pixels"))


def built(fetched, folder, **options):
    """Build from a copy of the state, because a build changes the state."""
    shutil.copytree(fetched, folder / "state")
    output = folder / f"out-{time.time_ns()}"  # load_dataset caches by this name
    with State(folder / "state") as state:
        build(state, BuildPlan(output, **options))
    return output


@pytest.fixture
def state(tmp_path):
    with State(tmp_path / "state", create=True) as opened:
        yield opened
