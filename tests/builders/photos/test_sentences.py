"""Every sentence about columns, labels and names of photos, whole."""

from dataclasses import replace

import numpy as np
import pytest

from builders.errors import DataError, PhotoError, UsageError
from builders.photos import (
    CLUSTER,
    GROUP_PREFIX,
    HUB_SPLITS,
    NEAR_DUPLICATES,
    QUESTION_COLUMNS,
    SPLITS,
    STORED_COLUMNS,
    TERMS_OF_USE,
    UNLABELLED,
    ColumnSources,
    Labels,
    MemorySource,
    NoPictures,
    PhotoSet,
    class_codes,
    column_of,
    group_cells,
    hash64,
    photo_digest,
    rank_within,
)

PHOTOS = replace(
    PhotoSet.of_bytes("two", {"a/1.jpg": b"1", "b/2.jpg": b"2"}, labels=["x", "y"]),
    attributes={"make": Labels(("Canon",), np.array([0, -1], dtype=np.int32))},
    groups={"site": Labels(("n", "s"), np.array([1, 0], dtype=np.int32))},
    columns={"owner": np.array(["ann", ""])},
)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: ColumnSources.of(group=["re:(a)"]), UsageError,
         "group=re:(a): a pattern gives the group no name: write group=NAME=re:(a)"),
        (lambda: ColumnSources.of(group=["site", "site=x"]), UsageError,
         "group=site=x: two groups are called site: write group=NAME=SOURCE"),
        (lambda: column_of(PHOTOS, "re:("), UsageError,
         "re:(: not a regular expression (missing ), unterminated subpattern at position 0)"),
        (lambda: column_of(PHOTOS, "folder:0"), UsageError,
         "folder:0 of two: give the number of a folder of the path, from 1"),
        (lambda: column_of(PHOTOS, "ownr"), UsageError, "unknown column of two 'ownr': did you mean 'owner'?"),
        (lambda: column_of(PHOTOS, "zzz", {"t": PHOTOS.labels}), UsageError,
         "unknown column of two 'zzz': known: folder, folder:N, label, make, owner, re:PATTERN, site, t"),
        (lambda: class_codes([0, 5], 2), ValueError, "row 1 has the label 5, and there are 2 classes"),
        (lambda: group_cells(PHOTOS, "sit"), UsageError, "unknown group of two 'sit': did you mean 'site'?"),
        (lambda: PhotoSet.of_bytes("t", {"a\x1b": b"1", r"a\x1b": b"2"}), DataError,
         r"t: several photos have a name that is written a\x1b; rename one"),
        (lambda: replace(PHOTOS, labels=Labels(("1", 7), np.zeros(2, dtype=np.int32))), DataError,
         "the name of a class is not text (7)"),
        (lambda: replace(PHOTOS, source=NoPictures()).require_pictures("a probe"), DataError,
         "two names no pictures, and a probe needs them: name their column (image=COLUMN)"),
        (lambda: NoPictures().read(0), PhotoError, "the data name no pictures"),
    ],
)  # fmt: skip
def test_refusal__whole(call, error, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == sentence


def test_names__that_are_in_files_and_keys():
    """Stored in built folders, caches and hashes: a change makes them unreadable."""
    assert (SPLITS, HUB_SPLITS) == (("train", "val", "test"), ("train", "validation", "test"))
    assert (CLUSTER, NEAR_DUPLICATES, GROUP_PREFIX, TERMS_OF_USE) == ("cluster", "near_duplicates", "group_", "terms")
    assert (UNLABELLED, STORED_COLUMNS) == (-1, ("cluster", "near_duplicates"))
    assert QUESTION_COLUMNS == ("camera_type", "cluster", "near_duplicates", "owner", "pair_id", "scene")
    assert NoPictures().fingerprint() == "no pictures"


def test_sources__digests_and_ranks():
    assert photo_digest(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    # BLAKE2b of eight bytes, as `b2sum -l 64` prints it
    assert hash64("a") == 0x40F89E395B66422F
    assert hash64("\udcff") == hash64(b"\xff".decode("utf-8", "surrogateescape"))
    assert MemorySource((b"1", b"2")).read(1) == b"2"
    rng = np.random.default_rng(0)
    for n in (0, 1, 7, 50):
        values = rng.integers(0, 4, n)
        assert rank_within(values).tolist() == [int((values[:i] == values[i]).sum()) for i in range(n)]
