"""Paths that are taken seldom, each by a direct call."""

from builders.dataset.disk_space import _CachedRows, _CachingRows


def test_rows__cached_up_to_the_bytes_that_are_free():
    made = []
    sizes = {0: 4, 1: 5, 2: 2, 3: 0}

    def make(item):
        made.append(item)
        return ({"image": {"bytes": bytes(sizes[item])}} for _ in range(1))

    caching = _CachingRows(make, 6)
    assert [len(caching(item)) for item in range(4)] == [1] * 4
    assert list(caching.rows) == [0, 2]  # 4 + 2 bytes; 5 more were too many, and no bytes need no cache
    made.clear()
    cached = _CachedRows(make, caching.rows)
    assert [list(cached(item)) for item in range(4)] == [[{"image": {"bytes": bytes(sizes[i])}}] for i in range(4)]
    assert made == [1, 3]
