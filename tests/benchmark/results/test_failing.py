"""Whether an encoder has failed on its photos, by hand: the reason that is recorded, or the share of photos."""

import dataclasses

import pytest

from benchmark.options import MIN_USABLE
from benchmark.results import Failure, failed_encoder

COUNTS = {"train": 6, "val": 3, "test": 1}


def photos(*names):
    return [Failure("photo", name, "is empty") for name in names]


NO_MEMORY = Failure("encoder", "a", "no memory")


@pytest.mark.parametrize(
    ("counts", "failures", "reason"),
    [
        (COUNTS, [], ""),
        (COUNTS, photos(*"ab"), ""),
        (COUNTS, photos(*"abc"), "3 of 10 photos failed, more than 20%"),
        (COUNTS, photos(*"abcdefghij"), "10 of 10 photos failed, more than 20%"),
        (COUNTS, photos(*"aabbab"), ""),  # one photo, however often it is listed
        (COUNTS, photos(*"abbc"), "3 of 10 photos failed, more than 20%"),
        ({"train": 4, "other": 1}, photos("a"), ""),
        ({"train": 4}, photos("a"), "1 of 4 photos failed, more than 20%"),
        (COUNTS, [Failure("task", name, "odd") for name in "abcdefgh"], ""),
        (COUNTS, [Failure("output", name, "odd") for name in "abcdefgh"], ""),
        (COUNTS, [*photos(*"abc"), NO_MEMORY], "no memory"),
        (COUNTS, [NO_MEMORY, dataclasses.replace(NO_MEMORY, reason="later")], "no memory"),
        (COUNTS, [dataclasses.replace(NO_MEMORY, reason="")], ""),
        ({}, [], ""),
        ({}, photos("a"), "1 of 0 photos failed, more than 20%"),
        (None, [], ""),
        (None, [NO_MEMORY], "no memory"),
        ("many", [], ""),
    ],
)
def test_failed_encoder(make, counts, failures, reason):
    assert MIN_USABLE == 0.8
    made = make.result("a", make.probes(0.5))
    made = dataclasses.replace(made, data={**made.data, "photos": counts}, failures=tuple(failures))
    assert failed_encoder(made) == reason
