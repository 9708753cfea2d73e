"""Stages that talk to the Hub and to Flickr, against doubles of them on loopback."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmark.publishing.files import result_path
from scripts.hostile_parts.results import honest_result
from scripts.hostile_parts.work import Stage, run
from tests.support.flickr import KEY, SECRET, Faults, serving
from tests.support.flickr_world import World
from tests.support.hub import OWNER_TOKEN, HubDouble

REPO = "owner/results"
QUICK = ["--first-wait", "0.01"]
FAST = ["--calls-per-hour", "100000000"]


@contextmanager
def service_stages(results: Path, scratch: Path) -> Iterator[tuple[Stage, ...]]:
    """Publishing ``results``, searching Flickr, and fetching what was found; the doubles run meanwhile."""
    from huggingface_hub import constants

    with ExitStack() as stack:
        hub = stack.enter_context(HubDouble())
        flickr = stack.enter_context(serving(World(), Faults(busy=0.02, broken=0.02, latency_s=0.001)))
        constants.ENDPOINT, constants.HF_HUB_DISABLE_XET = hub.url, True
        constants.HUGGINGFACE_CO_URL_TEMPLATE = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        os.environ |= {"HF_TOKEN": OWNER_TOKEN, "FLICKR_API_KEY": KEY, "FLICKR_API_SECRET": SECRET}

        def others(folder: Path) -> None:
            """A repository that holds a result of somebody else."""
            other = honest_result("timm/other", 3)
            repo = hub.create(REPO)
            repo.commit({**repo.files, result_path(other, other.to_json()): other.to_json().encode()}, "a result")

        def publish(folder: Path) -> list[str]:
            return ["publish", str(results), "--results", REPO, "--push"]

        def published(folder: Path) -> dict[str, str]:
            files = hub.repo(REPO).files
            return {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != ".gitattributes"}

        def search(folder: Path) -> list[str]:
            when = ["--from", "2012-04-01", "--to", "2012-04-04", "--per-user-month", "1", *FAST]
            where = ["--state", str(folder / "state"), "--api-url", flickr.api_url, "--contact", "a@b.org"]
            return ["build", "flickrexif", "search", *where, *when, *QUICK, "--connections", "2"]

        def fetch(folder: Path) -> list[str]:
            where = ["--state", str(folder / "state"), "--allow-loopback", "--size", "o,l"]
            return ["build", "flickrexif", "fetch", *where, *QUICK]

        found = scratch / "found"
        done = run(search(found), found)
        assert done.status == 0, done.said
        yield (
            Stage("publish", publish, read=published, prepare=others),
            Stage("search", search, read=_state),
            Stage("fetch", fetch, read=_state, prepare=lambda folder: shutil.copytree(found, folder)),
        )


def _state(folder: Path) -> dict[str, str]:
    """Everything in a state but times and counts of tries."""
    state = folder / "state"
    asked = {
        "photos": "id, owner, title, month, uploaded, taken, licence, urls, rank, selected, exif_status, exif_error",
        "exif": "*",
        "files": "photo_id, size, url, status, path, sha256, bytes, content_type, error_class",
    }
    made = {}
    with closing(sqlite3.connect(state / "state.sqlite")) as db:
        for table, columns in asked.items():
            rows = db.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
            made[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    for path in sorted((state / "files").rglob("*")):
        if path.is_file():
            made[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return made
