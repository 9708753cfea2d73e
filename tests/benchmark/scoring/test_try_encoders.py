"""What a trial finds out about an encoder, and what is remembered of it."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch

from benchmark.encoders import Encoder, Runtime
from benchmark.options import RunOptions
from benchmark.scoring import cached_trials
from benchmark.scoring.trial import trial_failures, try_encoders
from benchmark.views import PlainViews
from builders.photos import PhotoSet
from tests.support.scoring import toy_encoder


def encoder(embed, preprocess=lambda image: np.asarray(image)[:1, :1, 0].ravel(), **changes) -> Encoder:
    return toy_encoder(embed, preprocess, **{"dimension": 1, "weights": None, **changes})


def grey(count: int = 5) -> PhotoSet:
    return PhotoSet.of_bytes("grey", {f"{i}": b"P6 2 2 255\n" + bytes([10 * i + 5] * 12) for i in range(count)})


def test_try_encoders__what_another_does_in_company_shows():
    """The second encoder asked adds what the first one has left in a global."""
    left = [0.0]

    def leaves(batch: torch.Tensor) -> torch.Tensor:
        left[0] += 1
        return batch.float()

    def reads(batch: torch.Tensor) -> torch.Tensor:
        return batch.float() + left[0]

    first, second = try_encoders([encoder(leaves), encoder(reads)], grey(), PlainViews(), RunOptions())
    assert first.random == ""
    assert "run twice" in second.random


def identified(embed=lambda batch: batch.float(), weights="0" * 64):
    made = encoder(embed)
    return replace(made, info=replace(made.info, weights_sha256=weights))


def requested(encoders, options, photos=None, view=None):
    """How many times the first encoder is asked, and what is found."""
    seen = []

    def counted(batch):
        seen.append(len(batch))
        return encoders[0].embed(batch)

    first, *others = encoders
    result = cached_trials(
        [replace(first, embed=counted), *others], photos or grey(), "bytes", view or PlainViews(), options
    )
    return len(seen), result


def test_cached_trials__the_same_trial_is_run_once(tmp_path):
    options = RunOptions(cache=tmp_path)
    first, [trial] = requested([identified()], options)
    assert (first, trial.photos, trial.reason) == (3, 3, "")
    assert requested([identified()], options) == (0, [trial])
    other = [identified(weights="1" * 64)]
    for encoders, changed in (
        (other, options),
        ([identified(), *other], options),
        ([replace(identified(), runtime=Runtime("openvino", "1"))], options),
        ([replace(identified(), device="cuda")], replace(options, batch_size=1)),
        ([identified()], replace(options, fresh=True)),
    ):
        assert requested(encoders, changed)[0] >= 3
        assert requested(encoders, replace(changed, fresh=False))[0] == 0
    assert requested([identified()], options, photos=grey(4))[0] == 3
    [stored, *_] = sorted(tmp_path.glob("gates/*.json"))
    for damage in ("", "{}", stored.read_text().replace('"reason": ""', '"reason": 3')):
        for file in tmp_path.glob("gates/*.json"):
            file.write_text(damage)
        assert requested([identified()], options)[0] == (0 if damage == "{}" else 3)


def test_cached_trials__a_random_encoder_is_remembered_and_one_that_fails_or_has_no_name_is_not(tmp_path):
    options, draws = RunOptions(cache=tmp_path), np.random.default_rng(0)
    random = identified(lambda batch: batch + torch.from_numpy(draws.normal(size=batch.shape)))
    _, [trial] = requested([random], options)
    assert "run twice" in trial.random
    assert requested([random], options) == (0, [trial])
    _, both = requested([identified(), random], options)
    assert [bool(one.random) for one in both] == [False, True]
    assert requested([identified(), random], options) == (0, both)
    calls = itertools.count()  # the first answer is one, the second is not
    fails = identified(lambda batch: batch.float() / (1 - next(calls) % 2), "2" * 64)
    for encoders in ([fails], [identified(), encoder(lambda batch: batch.float())]):
        assert requested(encoders, options)[0] > 0
        assert requested(encoders, options)[0] > 0


def test_trial_failures__one_odd_photo_in_twenty_is_none():
    failures = {str(i): "preprocessing failed (ValueError: too thin)" for i in range(3)}
    assert trial_failures("toy", dict(list(failures.items())[:2]), 40) == ""
    assert "fails on 3 of 40 photos" in trial_failures("toy", failures, 40)
    assert trial_failures("toy", dict.fromkeys(failures, "no JPEG"), 40) == ""
