"""A second pass by hand, with doubles of its calls: which classes, which windows, which photos, when it ends."""

from types import SimpleNamespace

import pytest

from builders.errors import UsageError
from builders.flickrexif.api.search_results import rank
from builders.flickrexif.search import fill_classes as module
from builders.flickrexif.search.fill_classes import FilledClass, fill, photos_of_classes
from builders.flickrexif.search.plan import SearchPlan, Slice
from builders.flickrexif.search.read_slice import SliceReading
from builders.flickrexif.search.strata import Stratum
from builders.flickrexif.store.tombstones import forget
from tests.support.flickr_samples import DAY, FEBRUARY, JANUARY, MARCH, Sampling, plan_of, result

SPAN = (JANUARY + 1000, MARCH - 5)
"""Of the plan; the state has been searched from January to the end of February."""
PLAN = plan_of(None, start=SPAN[0], end=SPAN[1])


@pytest.fixture
def filling(tmp_path, monkeypatch):
    """A state with six photos of Canon, two of SONY and one of Kodak, and the arguments of ``start_search``."""
    made = Sampling(tmp_path / "state", monkeypatch, module)
    monkeypatch.setattr(module, "ATTRIBUTES", {"make": SimpleNamespace(classes={"clean": ("Canon", "SONY", "Kodak")})})
    monkeypatch.setattr(module, "label", lambda taken, name, names: (made.label_of == (name, names)) and taken.make)
    monkeypatch.setattr(module, "start_search", lambda *given: made.calls.append(("start", *given)))
    made.label_of = ("make", "clean")
    made.month("2012-01", JANUARY, FEBRUARY)
    made.state.rows("INSERT INTO slices (root, month, start, \"end\", licences, status, estimate)"
                    " VALUES (1, 'm', ?, ?, '4', 'done', 0)", FEBRUARY, MARCH)  # fmt: skip
    made.state.set("photos_wanted", 40)
    makes = ["Canon"] * 6 + ["SONY"] * 2 + ["Kodak"]
    for id, make in enumerate(makes, start=1):
        made.makes[id] = make
        made.photo(id, selected=1, exif_status="ok")
        made.exif(id)
    made.makes[10] = "Kodak"
    made.photo(10, selected=0, exif_status="ok")
    made.exif(10)
    yield made
    made.state.close()


def filled(filling, *attributes, plan=PLAN, **options):
    return fill(filling.state, "client", plan, attributes or ["make"], connections=3, tick=filling.tick, **options)


def windows_of(total, windows, number):
    return [Stratum("", *SPAN, total, windows, 5, opened).next_window(3) for opened in range(number)]


def give(filling, window, first, many, makes):
    """A window gives photos with ids from ``first`` on. Returns the ids by rank; the lowest ranks have these makes."""
    photos = [result(id, uploaded=window[0]) for id in range(first, first + many)]
    filling.readings[window[0]] = SliceReading(many, tuple(photos))
    ranked = sorted((p.id for p in photos), key=lambda id: rank(id, 3))
    filling.makes.update(zip(ranked, makes, strict=False))
    return ranked


def test_fill__the_rarest_class_first_until_it_has_enough(filling):
    """Kodak lacks three photos, SONY two, and one of SONY comes with those of Kodak."""
    filling.totals = {"fill Kodak": [500], "fill SONY": [0]}
    first, second = windows_of(500, 2, 2)
    # a window of 500 photos gives ten of them, the average one, which has 250, gives five
    one = give(filling, first, 1000, 500, ["Kodak"] + ["Apple"] * 8 + ["SONY"])
    two = give(filling, second, 2000, 250, ["Kodak"] * 3 + ["Apple"] * 2)
    assert filled(filling, per_class=4) == [
        FilledClass("make", "Kodak", before=1, after=5, checked=15, reported=500),
        FilledClass("make", "SONY", before=3, after=3, checked=0, reported=0),
    ]
    sample = SearchPlan(**{**vars(PLAN), "photos": 40})
    assert filling.calls == [
        ("start", filling.state, "client", sample, 3600),
        ("exif", []),
        ("count", "client", Slice("", *SPAN, (4, 7), 0.0), "fill Kodak", "Kodak"), "tick",
        ("read", "client", Slice("", *first, (4, 7), 250.0), "fill Kodak", "Kodak"), "tick",
        ("exif", sorted(one[:10])),
        ("read", "client", Slice("", *second, (4, 7), 250.0), "fill Kodak", "Kodak"), "tick",
        ("exif", sorted(two[:5])),
        ("count", "client", Slice("", *SPAN, (4, 7), 0.0), "fill SONY", "SONY"), "tick",
    ]  # fmt: skip
    rows = filling.state.rows("SELECT id, selected, sought, rank, turn FROM photos WHERE source = 'fill' ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (id, 1, "make: Kodak", rank(id, 3), None) for id in sorted([*one[:10], *two[:5]])
    ]
    assert filling.state.setting(f"fill make: Kodak {SPAN[0]} {SPAN[1]}") == [500, 2, 5, 2]
    assert photos_of_classes(filling.state, "make") == {"Canon": 6, "Apple": 10, "Kodak": 5, "SONY": 3}


def test_fill__classes_with_equally_many_photos_by_their_names(filling):
    filling.state.rows("UPDATE photos SET selected = 1 WHERE id = 10")  # the second of Kodak, as many as of SONY
    filling.totals = {f"fill {name}": [9] for name in ("Kodak", "SONY", "Canon")}
    done = filled(filling, per_class=7, dry_run=True)
    assert [(each.name, each.before) for each in done] == [("Kodak", 2), ("SONY", 2), ("Canon", 6)]


def test_fill__a_resumed_run_goes_on_where_it_was_and_counts_nothing_again(filling):
    filling.totals = {"fill Kodak": [900]}
    windows = windows_of(900, 4, 4)
    for number, window in enumerate(windows):
        give(filling, window, 1000 * (number + 1), 20, ["Apple"] * 20)
    state, key = filling.state, f"fill make: Kodak {SPAN[0]} {SPAN[1]}"
    assert filled(filling, per_class=2) == [FilledClass("make", "Kodak", 1, 1, 4, 900)]  # one of 225 each: 20 give one
    assert state.setting(key) == [900, 4, 5, 4]
    state.set(key, (900, 4, 5, 2))
    state.rows("DELETE FROM photos WHERE source = 'fill'")
    filling.calls.clear()
    assert filled(filling, per_class=2, calls_per_hour=180) == [FilledClass("make", "Kodak", 1, 1, 2, 900)]
    assert [call[2].start for call in filling.calls if call[0] == "read"] == [windows[2][0], windows[3][0]]
    assert filling.calls[0][-1] == 180
    assert not [call for call in filling.calls if call[0] == "count"]
    filling.calls.clear()
    filling.totals = {"fill Kodak": [7]}
    grown = SearchPlan(**{**vars(PLAN), "end": SPAN[1] - 1})  # another span is another search
    assert filled(filling, plan=grown, per_class=2, dry_run=True) == [FilledClass("make", "Kodak", 1, 1, 0, 7)]
    assert [call[0] for call in filling.calls] == ["start", "exif", "count", "t"]
    assert state.setting(f"fill make: Kodak {SPAN[0]} {SPAN[1] - 1}") is None


def test_fill__ends_after_ten_photos_for_each_that_a_class_lacks(filling):
    filling.totals = {"fill Kodak": [100_000]}
    for number, window in enumerate(windows_of(100_000, 400, 4)):
        give(filling, window, 1000 * (number + 1), 250, ["Apple"] * 5)
    assert filled(filling, per_class=2) == [FilledClass("make", "Kodak", 1, 1, 10, 100_000)]
    assert len([call for call in filling.calls if call[0] == "read"]) == 2


def test_fill__half_of_those_who_name_a_camera_may_not_have_it(filling):
    """Of one window the double of the 20 photos that are lacking is read, and a quarter more."""
    filling.totals = {"fill Kodak": [200], "fill SONY": [0], "fill Canon": [0]}
    give(filling, SPAN, 1000, 200, ["Apple"] * 200)
    assert filled(filling, per_class=21)[0] == FilledClass("make", "Kodak", 1, 1, 50, 200)
    assert [one[0] for one in filling.state.rows("SELECT key FROM settings WHERE key LIKE 'fill %' ORDER BY key")] == [
        f"fill make: Kodak {SPAN[0]} {SPAN[1]}"
    ]


def test_fill__obeys_the_cap_and_tombstones(filling):
    filling.totals = {"fill Kodak": [10]}
    photos = [result(id, "7@N01" if id < 1008 else None, SPAN[0]) for id in range(1000, 1010)]
    filling.readings[SPAN[0]] = SliceReading(10, tuple(photos))
    forget(filling.state, photos=["1008"])
    filled(filling, per_class=2)
    of_owner = sorted(range(1000, 1008), key=lambda id: rank(id, 3))[:5]
    # two and a half, rounded up, would be three; the least is five of ten, after the cap
    admitted = [id for id in sorted(range(1000, 1010), key=lambda id: rank(id, 3)) if id in (*of_owner, 1008, 1009)][:5]
    assert 1008 in admitted
    assert filling.calls[-1] == ("exif", sorted({*admitted} - {1008}))


def test_fill__first_the_exif_that_an_earlier_run_has_not(filling):
    for id, changed in enumerate([{"exif_status": "failed"}, {}, {"exif_status": "ok"}, {"source": "search"},
                                  {"selected": 0}], start=20):  # fmt: skip
        filling.photo(id, **{"source": "fill", "selected": 1, **changed})
    filling.makes |= {20: "Kodak", 21: "Kodak"}
    filling.totals = {"fill SONY": [0]}
    assert filled(filling, per_class=3) == [FilledClass("make", "SONY", 2, 2, 0, 0)]
    assert filling.calls[1] == ("exif", [20, 21])


def test_fill__of_what_has_not_been_indexed_or_searched_nothing_is_read(filling):
    """Flickr's index ends a day ago; the state was searched for January and February alone."""
    filling.totals = {"fill Kodak": [0, 0]}
    filled(filling, per_class=2, plan=plan_of(None, start=JANUARY - DAY, end=MARCH + DAY))
    assert filling.calls[2][2] == Slice("", JANUARY, MARCH, (4, 7), 0.0)
    filling.state.clock.at = MARCH - 10.0
    filled(filling, per_class=2)
    assert filling.calls[-2][2] == Slice("", SPAN[0], MARCH - 10 - DAY, (4, 7), 0.0)


def test_fill__refusals(filling):
    with pytest.raises(UsageError) as error:
        filled(filling, "make", "iso")
    assert str(error.value) == "unknown attribute to fill 'iso': known: make, model, smartphone_model"
    after = f"{filling.state.folder}: --fill comes after a search with Exif"
    with pytest.raises(UsageError) as error:
        filled(filling, plan=plan_of(None, with_exif=False))
    assert str(error.value) == after
    filling.state.rows("DELETE FROM strata")
    filling.state.rows("DELETE FROM slices")
    with pytest.raises(UsageError) as error:
        filled(filling)
    assert str(error.value) == after
    assert filling.calls == []
    with filling.state.exclusive("search"), pytest.raises(UsageError, match="another 'search' is running"):
        filled(filling)
