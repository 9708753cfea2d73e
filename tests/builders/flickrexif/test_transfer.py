"""Fetching by a target in memory and a download that a test writes down: tries, waits, choices, rows, counts."""

import pytest

from builders.errors import UsageError
from builders.flickrexif.fetch.fetch import retryable_photos
from builders.flickrexif.fetch.transfer import FetchPlan, choose

ORIGINAL, LARGE, HUGE = ("https://a.net/o.jpg", 4, 3), ("https://b.net/l.jpg", 2, 1), ("https://a.net/k.jpg", 1, 1)


@pytest.mark.parametrize(
    ("sizes", "spent", "chosen"),
    [
        (("o",), (), ("o", ORIGINAL[0])), (("l", "o"), (), ("l", LARGE[0])), (("z", "o"), (), ("o", ORIGINAL[0])),
        (("any",), (), ("o", ORIGINAL[0])), (("any",), ("o",), ("l", LARGE[0])),
        (("o", "any"), ("o",), ("l", LARGE[0])),
        (("o",), ("o",), (None, None)), (("any",), ("o", "l"), (None, None)), (("z",), (), (None, None)),
        ((), (), (None, None)),
    ],
)  # fmt: skip
def test_choose__the_first_size_that_there_is(sizes, spent, chosen):
    request = choose(7, {"o": ORIGINAL, "l": LARGE}, sizes, frozenset(spent), "sha")
    assert request == (7, *chosen, "sha", tuple(sorted(spent)))


def test_plan__sizes_of_flickr_and_any():
    for size in ("o", "6k", "sq", "any"):
        assert FetchPlan(sizes=(size,)).sizes == (size,)
    with pytest.raises(UsageError, match="unknown size 'original'"):
        FetchPlan(sizes=("o", "original"))


def add(state, id, urls="{}", selected=1, expected=None, file=None, size=None, error_class=None):
    with state.transaction() as db:
        db.execute(
            "INSERT INTO photos (id, owner, source, urls, rank, selected, expected_sha256)"
            " VALUES (?, 'a', 's', ?, 0, ?, ?)",
            (id, urls, selected, expected),
        )
        if file:
            db.execute(
                "INSERT INTO files (photo_id, size, url, status, path, sha256, bytes, attempts, error_class, at)"
                " VALUES (?, ?, 'u', ?, 'files/x', 'h', 1, 1, ?, 0)",
                (id, size, file, error_class),
            )


URLS = '{"o": ["https://a.net/o.jpg", 4, 3], "l": ["https://b.net/l.jpg", 2, 1]}'


def test_retryable__what_may_pass_and_sizes_that_were_not_tried(state):
    add(state, 1, URLS, file="failed", size="o")
    add(state, 2, URLS, file="gone", size="o", error_class="gone")
    add(state, 3, URLS, file="gone", size="l,o", error_class="gone")
    add(state, 4, URLS, file="gone", size="o", error_class="unavailable")
    add(state, 5, URLS, file="gone", size="o", error_class="changed")
    add(state, 6, URLS, file="ok", size="o")
    add(state, 7, URLS, file="gone", size=None, error_class="no such size")
    add(state, 8, "{}", file="gone", size=None, error_class="no such size")
    add(state, 9, URLS)
    assert retryable_photos(state, ("o", "l")) == {
        1: frozenset(), 2: frozenset({"o"}), 7: frozenset(),
    }  # fmt: skip
    assert retryable_photos(state, ("o",)) == {1: frozenset(), 7: frozenset()}
