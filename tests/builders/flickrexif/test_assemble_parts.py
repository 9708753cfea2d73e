"""Parts of a build and of the beginning of a search by hand: rows, parts of given splits, sources, settings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from builders.errors import UsageError
from builders.flickrexif.assemble.build import sources_of
from builders.flickrexif.assemble.collect import TableRows
from builders.flickrexif.assemble.rows import PartRows, RowMaker
from builders.flickrexif.search.plan import SearchPlan, months, split, start_search
from builders.flickrexif.search.plan import Slice as Piece
from builders.flickrexif.search.search import add_windows
from tests.support.clocks import SimulatedClock
from tests.support.flickr_world import licences_answer

DAY = 86400


def test_rows__of_some_photos_alone_and_of_all_of_their_configs():
    columns = tuple({"photo_id": str(i), "sha256": ""} for i in range(4))
    maker = RowMaker("/s", ["p0", None, "p2", "p3"], columns, False)
    some = maker.subset(np.array([3, 1]))
    assert (some.paths, some.columns, some.folder, some.pixels) == (["p3", None], (columns[3], columns[1]), "/s", False)
    table = RowMaker("/s", ["p"] * 4, TableRows(pa.table({"photo_id": ["0", "1", "2", "3"]})), False)
    assert [row["photo_id"] for row in table.subset(np.array([2, 0])).columns] == ["2", "0"]
    rows = PartRows(some, ("make", "iso"), np.array([[1, -1], [0, 2]]))
    assert rows(0) == [{"photo_id": "3", "sha256": "", "make": 1, "iso": -1}]
    assert rows(1) == [{"photo_id": "1", "sha256": "", "make": 0, "iso": 2}]


@pytest.mark.parametrize(
    ("sources", "origins", "expected"),
    [
        ((), (), ()), (("search",), (), ("original",)), (("fill",), (), ("original",)),
        (("import",), ("a/b@main", "ids.csv"), ("a/b",)),
        (("search", "import"), ("a/b@main",), ("original", "a/b")),
    ],
)  # fmt: skip
def test_sources__of_the_card(state, sources, origins, expected):
    with state.transaction() as db:
        for id, source in enumerate(sources, 1):
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, 'a', ?, '{}', 0, 1)",
                (id, source),
            )
        db.execute(
            "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (99, 'a', 'search', '{}', 0, 0)"
        )
    state.set("imported_from", list(origins))
    assert sources_of(state) == expected


class Licences:
    def __init__(self):
        self.calls = []

    def call(self, method, subject, *, expect):
        self.calls.append((method, subject, expect))
        return {"licenses": licences_answer()}


def plan_of(**changes):
    return SearchPlan(**{"start": 0, "end": 40 * DAY, "per_user_month": 5, "licences": (4, 5), **changes})


def test_search__what_a_state_is_begun_with(state):
    client, state.clock = Licences(), SimulatedClock(100.0)
    start_search(state, client, plan_of(seed=3), 1800)
    start_search(state, client, plan_of(seed=3, with_exif=False, photos=9), 60)
    assert client.calls == [("photos.licenses.getInfo", "licences", "licenses")]
    names = ("per_user_month", "seed", "licences", "licences_checked", "with_exif", "calls_per_hour", "photos_wanted")
    assert [state.setting(name) for name in names] == [5, 3, [4, 5], 100.0, False, 60, 9]
    for changes, option in (({"per_user_month": 6}, "--per-user-month 5, not 6"), ({"seed": 4}, "--seed 3, not 4"),
                            ({"licences": (4,)}, r"--license \[4, 5\], not \[4\]")):  # fmt: skip
        with pytest.raises(UsageError, match=f"was made with {option}"):
            start_search(state, client, plan_of(**{"seed": 3, **changes}), 60)
    state.clock.at = 60.0 * DAY
    add_windows(state, plan_of(seed=3))
    start_search(state, client, plan_of(seed=3, photos=9), 60)
    with state.transaction() as db:
        db.execute("UPDATE slices SET status = 'done' WHERE start = 0")
    start_search(state, client, plan_of(seed=3), 60)
    with pytest.raises(UsageError, match="--limit"):
        start_search(state, client, plan_of(seed=3, photos=9), 60)


@pytest.mark.parametrize(("each_licence", "licences"), [(False, ["4,5"]), (True, ["4", "5"])])
def test_windows__of_months_and_licences(state, each_licence, licences):
    state.clock = SimulatedClock(35.0 * DAY)  # the last day is left to a later search
    add_windows(state, plan_of(each_licence=each_licence))
    columns = 'root, month, start, "end", licences, status, estimate'
    spans = [("1970-01", 0, 31 * DAY), ("1970-02", 31 * DAY, 34 * DAY)]
    expected = [(1, *span, ids, "pending", 0.0) for span in spans for ids in licences]
    assert [tuple(r) for r in state.rows(f"SELECT {columns} FROM slices ORDER BY id")] == expected
    state.clock.at = 36.0 * DAY
    add_windows(state, plan_of(each_licence=each_licence))
    rows = [tuple(r) for r in state.rows(f"SELECT {columns} FROM slices ORDER BY id")]
    assert rows == expected + [(1, "1970-02", 34 * DAY, 35 * DAY, ids, "pending", 0.0) for ids in licences]


def test_split__estimates_of_halves_and_of_licences():
    assert [p.estimate for p in split(Piece("m", 0, 600, (4, 5, 7)), 9000)] == [4500, 4500]
    assert [p.estimate for p in split(Piece("m", 0, 599, (4, 5, 7)), 9000)] == [3000] * 3
    assert months(5, 5) == []
    december = 1_325_376_000 - DAY
    assert [m for m, _, _ in months(december, december + 2 * DAY)] == ["2011-12", "2012-01"]
