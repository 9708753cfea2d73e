"""Fetching by a target in memory and a download that a test writes down: tries, waits, choices, rows, counts."""

import asyncio
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.errors import UsageError
from builders.flickrexif.fetch import transfer as module
from builders.flickrexif.fetch.download import Downloaded, DownloadFailure
from builders.flickrexif.fetch.fetch import pending_requests, retryable_photos
from builders.flickrexif.fetch.transfer import FetchCounts, FetchPlan, FetchRequest, FileRow, choose, fetch_into

ORIGINAL, LARGE, HUGE = ("https://a.net/o.jpg", 4, 3), ("https://b.net/l.jpg", 2, 1), ("https://a.net/k.jpg", 1, 1)


class Target:
    """Requests as given; rows and the bytes of their files."""

    def __init__(self, folder, *requests):
        self.counts, self.clock = FetchCounts(), SimpleNamespace(now=lambda: 77.0)
        self._folder, self._requests, self.rows, self.names = folder, requests, [], []

    def total(self):
        return len(self._requests)

    def requests(self):
        return iter(self._requests)

    def temporary(self, name):
        self.names.append(name)
        return self._folder / name

    async def save(self, row, file):
        self.rows.append((row, None if file is None else file.read_bytes()))
        self.counts.add(row)


@pytest.fixture
def fetch(monkeypatch, tmp_path):
    """Fetch requests; each download takes the next of the outcomes. The target, the downloads and the waits."""

    def run(requests, outcomes, **options):
        left, downloads, waits, real_sleep = list(outcomes), [], [], asyncio.sleep

        async def download(client, url, target, **named):
            downloads.append((url, named))
            outcome = left.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            target.write_bytes(outcome)
            return Downloaded("hash", len(outcome), "image/jpeg", ".jpg", url)

        async def sleep(seconds):
            waits.append(seconds)
            await real_sleep(0)

        with monkeypatch.context() as patched:
            patched.setattr(module, "download", download)
            patched.setattr(module, "photo_client", lambda **named: downloads.append(named) or Client())
            patched.setattr(module.asyncio, "sleep", sleep)
            patched.setattr(module.random, "uniform", lambda low, high: (low, high) == (0.5, 1.0) and high)
            target = Target(tmp_path, *requests)
            assert fetch_into(target, FetchPlan(**{"connections": 1, **options})) is target.counts
        assert not list(tmp_path.iterdir())  # no part of a file is left
        clients = [each for each in downloads if isinstance(each, dict)]
        return target, [each for each in downloads if not isinstance(each, dict)], waits, clients

    return run


class Client:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


def failure(error_class="timeout", permanent=False, wait=None):
    return DownloadFailure(error_class, f"because of {error_class}", permanent=permanent, retry_after_s=wait)


def test_fetch__a_file_and_its_row(fetch):
    request = FetchRequest(51234, "l", LARGE[0], None)
    target, downloads, waits, clients = fetch([request], [b"bytes"], max_bytes=99, user_agent="me", timeout_s=7.0)
    path = "files/34/12/51234_l.jpg"
    assert target.rows == [
        (FileRow(51234, "l", LARGE[0], "ok", path, "hash", 5, "image/jpeg", 1, None, None, 77.0), b"bytes")
    ]
    assert (target.counts.fetched, target.counts.bytes, target.counts.failures) == (1, 5, Counter())
    assert (downloads[0][0], downloads[0][1]["max_bytes"], downloads[0][1]["allow_loopback"]) == (LARGE[0], 99, False)
    assert (waits, len(clients)) == ([], 1)
    assert (clients[0]["user_agent"], clients[0]["timeout_s"], clients[0]["allow_loopback"]) == ("me", 7.0, False)
    assert target.names[0].startswith("51234.")


@pytest.mark.parametrize(
    ("outcomes", "attempts", "waits", "row"),
    [
        ([failure(), failure(), b"x"], 4, [2.0, 4.0], ("ok", 3, None)),
        ([failure(), failure("http 500")], 2, [2.0], ("failed", 2, "http 500")),
        ([failure()], 1, [], ("failed", 1, "timeout")),
        ([failure("gone", permanent=True)], 4, [], ("gone", 1, "gone")),
        ([failure(), failure("refused", permanent=True)], 4, [2.0], ("gone", 2, "refused")),
        ([failure()] * 10, 10, [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0], ("failed", 10, "timeout")),
    ],
)
def test_fetch__tries_again_with_growing_waits_where_that_helps(fetch, outcomes, attempts, waits, row):
    target, downloads, slept, _ = fetch(
        [FetchRequest(7, "o", ORIGINAL[0], None)], outcomes, attempts=attempts, first_wait_s=2.0
    )
    ((saved, _),) = target.rows
    assert ((saved.status, saved.attempts, saved.error_class), slept) == (row, waits)
    assert len(downloads) == saved.attempts
    if saved.status != "ok":
        assert saved == FileRow(7, "o", ORIGINAL[0], row[0], None, None, None, None, row[1], row[2],
                                f"because of {row[2]}", 77.0)  # fmt: skip


def test_fetch__a_wait_that_the_server_states_holds_for_its_host(fetch):
    """The second request of the host waits; one of another host does not."""
    requests = [
        FetchRequest(1, "o", ORIGINAL[0], None),
        FetchRequest(2, "l", LARGE[0], None),
        FetchRequest(3, "k", HUGE[0], None),
    ]
    target, downloads, waits, _ = fetch(requests, [failure(wait=0.05), b"x", b"x", b"x"])
    assert [url for url, _ in downloads] == [ORIGINAL[0], ORIGINAL[0], LARGE[0], HUGE[0]]
    assert waits
    assert all(0 < seconds <= 0.05 for seconds in waits)
    assert [row.attempts for row, _ in target.rows] == [2, 1, 1]
    assert fetch([requests[1]], [b"x"])[2] == []


@pytest.mark.parametrize("stated", [(60.0, 1.0), (1.0, 60.0), (60.0, 60.0), (60.0, 0.0)])
def test_fetch__the_longest_wait_of_a_host_counts(stated):
    """Several files of a host may be refused at once, each with a wait that the server states."""

    async def pauses():
        fetch = module._Fetch(None, FetchPlan())
        for number, seconds in enumerate(stated):
            await fetch._wait(f"https://a.net/{number}.jpg", 1, seconds)
        await fetch._wait(LARGE[0], 3, 5.0)
        now = asyncio.get_running_loop().time()
        return {host: round(until - now) for host, until in fetch._pauses.items()}

    assert asyncio.run(pauses()) == {"a.net": 60, "b.net": 5}


@pytest.mark.parametrize(("expected", "status"), [(None, "ok"), ("hash", "ok"), ("other", "gone"), ("", "gone")])
def test_fetch__the_published_hash(fetch, expected, status):
    target, downloads, _, _ = fetch([FetchRequest(7, "o", ORIGINAL[0], expected)], [b"x"])
    ((row, data),) = target.rows
    assert (row.status, len(downloads)) == (status, 1)
    if status == "gone":
        assert (row.error_class, row.error, data) == ("changed", "the bytes are not those that were published", None)
        assert target.counts.failures == {"changed": 1}


@pytest.mark.parametrize(
    ("request_", "size"), [(FetchRequest(7, None, None, None), None), (FetchRequest(7, None, None, None, ("o",)), "o"),
                           (FetchRequest(7, None, None, None, ("o", "l")), "l,o")]
)  # fmt: skip
def test_fetch__without_an_address_there_is_no_try(fetch, request_, size):
    target, downloads, _, _ = fetch([request_], [], sizes=("o", "l", "any"))
    reason = "Flickr offers no o or l or any"
    assert target.rows == [
        (FileRow(7, size, None, "gone", None, None, None, None, 0, "no such size", reason, 77.0), None)
    ]
    assert downloads == []


def test_fetch__failed_sizes_are_in_the_row_and_reasons_are_cut(fetch):
    bad = DownloadFailure("gone", "r" * 600, permanent=True)
    target, _, _, _ = fetch([FetchRequest(7, "k", HUGE[0], None, ("o", "l"))], [bad])
    assert (target.rows[0][0].size, len(target.rows[0][0].error)) == ("k,l,o", 500)


def test_fetch__many_at_once_but_few_of_one_host(fetch, monkeypatch, tmp_path):
    running, most = Counter(), Counter()

    async def download(client, url, target, **named):
        host = url.split("/")[2]
        running[host] += 1
        running["all"] += 1
        for name in (host, "all"):
            most[name] = max(most[name], running[name])
        await asyncio.sleep(0.01)
        running[host] -= 1
        running["all"] -= 1
        target.write_bytes(b"x")
        return Downloaded("hash", 1, "image/jpeg", ".jpg", url)

    monkeypatch.setattr(module, "download", download)
    requests = [FetchRequest(i, "o", (ORIGINAL, LARGE)[i % 2][0], None) for i in range(12)]
    target = Target(tmp_path, *requests)
    fetch_into(target, FetchPlan(connections=5, per_host=2))
    assert (most["a.net"], most["b.net"], most["all"], len(target.rows)) == (2, 2, 4, 12)
    most.clear()
    fetch_into(Target(tmp_path, *requests), FetchPlan(connections=3, per_host=9))
    assert most["all"] == 3


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


def test_pending__those_without_a_file_or_that_are_tried_again(state, monkeypatch):
    from builders.flickrexif.fetch import fetch as of_states

    monkeypatch.setattr(of_states, "_ROWS_PER_QUERY", 2)
    for id in (5, 1, 3, 4):
        add(state, id, URLS, expected=f"sha {id}")
    add(state, 2, URLS, selected=0)
    add(state, 6, URLS, file="failed", size="o")
    add(state, 7, URLS, file="gone", size="o")
    add(state, 8, URLS, file="ok", size="o")
    requests = list(pending_requests(state, ("o", "l"), {7: frozenset({"o"}), 8: frozenset()}))
    assert [(r.id, r.size, r.expected_sha256, r.spent) for r in requests] == [
        *((id, "o", f"sha {id}", ()) for id in (1, 3, 4, 5)), (7, "l", None, ("o",)),
    ]  # fmt: skip


def test_fetch__counts_the_requests_that_it_will_make(state, monkeypatch):
    from builders.flickrexif.fetch import fetch as of_states

    for id in (1, 2, 3):
        add(state, id, URLS)
    add(state, 4, URLS, selected=0)
    add(state, 5, URLS, file="failed", size="o")
    leftover = state.path_of("files/.incoming/old")
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"x")
    targets = []
    monkeypatch.setattr(of_states, "fetch_into", lambda target, plan: targets.append(
        (target.total(), [request.id for request in target.requests()], target.temporary("a"))))  # fmt: skip
    incoming = Path(state.folder) / "files/.incoming/a"
    for options, total, ids in (({}, 3, [1, 2, 3]), ({"limit": 2}, 2, [1, 2]), ({"limit": 9}, 3, [1, 2, 3]),
                                ({"retry_failed": True}, 4, [1, 2, 3, 5])):  # fmt: skip
        of_states.fetch(state, FetchPlan(**options))
        assert targets.pop() == (total, ids, incoming)
    assert not leftover.exists()
