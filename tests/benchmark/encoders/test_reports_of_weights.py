"""Reports of loading weights: what is refused first, in which words, and which names are ignored for which reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders.admission.gate import first_names, reason_of, require_finite
from benchmark.encoders.admission.sources import shape_words
from benchmark.encoders.loaders.checkpoint_files.fitting import fitted, is_whole_somewhere
from builders.errors import EncoderError, UsageError


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pooler.dense.weight", "pooling that"), ("a.pooler.x", "pooling that"), ("pooler", ""), ("my_pooler.x", ""),
        ("mask_token", "stands for hidden"), ("a.mask_token", "stands for hidden"), ("mask_token.x", ""),
        ("a.position_ids", "counts positions"), ("relative_position_index", "counts positions"),
        ("rope.inv_freq", "follows from"), ("attn_mask", "follows from"), ("a.relative_coords_table", "follows from"),
        ("logit_scale", "scales sim"), ("logit_bias", "scales sim"), ("temp", "scales"), ("temperature", "scales"),
        ("a.logit_scale", ""), ("weight", ""),
    ],
)  # fmt: skip
def test_reason_of__whole_names(name: str, reason: str) -> None:
    assert reason_of(name).startswith(reason)
    assert bool(reason_of(name)) == bool(reason)


def test_names_and_shapes__in_messages() -> None:
    assert first_names(["c", "a", "b"]) == "a, b, c"
    assert first_names(["d", "c", "a", "b"]) == "a, b, c and 1 more"
    assert first_names(["x" * 121]) == "x" * 120
    assert shape_words("a", (), (2, 3)) == "a is a number instead of 2 x 3"
    assert shape_words("a", (4,), ()) == "a is 4 instead of a number"


def test_require_finite__parameters_and_running_statistics() -> None:
    module = nn.BatchNorm1d(2)
    module.register_buffer("other", torch.tensor([torch.nan]))
    require_finite("mine", module)
    with torch.no_grad():
        module.weight.fill_(3e38)  # whose sum overflows
    require_finite("mine", module)
    module.running_mean[1] = torch.inf  # type: ignore[index]
    with pytest.raises(EncoderError) as one:
        require_finite("mine", module)
    assert str(one.value) == (
        "mine: 1 of its weights holds values that are not finite numbers (running_mean); fetch the file again, or use "
        "an earlier checkpoint of the training"
    )
    with torch.no_grad():
        module.bias[0] = torch.nan
    with pytest.raises(
        EncoderError, match=r"2 of its weights hold values that are not finite numbers \(bias, running_mean\)"
    ):
        require_finite("mine", module)


SHAPES = {"a.w": torch.Size([2]), "b.w": torch.Size([2]), "n.num_batches_tracked": torch.Size([])}


def weights(*names: str, value: float = 1.0) -> dict[str, torch.Tensor]:
    return {name: torch.full((2,), value) for name in names}


@pytest.mark.parametrize(
    ("tensors", "options", "message"),
    [
        ({**weights("state_dict.s.a.w", "state_dict.s.b.w"), **weights("model.t.a.w", "model.t.b.w", value=2)}, {},
         "mine holds weights of net 2 times: say which, by prefix= ('t.' and 's.')"),
        ({**weights("s.a.w", "s.b.w"), **weights("x.s.a.w", "x.s.b.w", value=2)}, {"prefix": "s"},
         "mine holds weights of net 2 times: say which, by prefix= ('s.' and 'x.s.')"),
        (weights("ema.a.w", "ema.b.w"), {}, "mine holds averaged weights (EMA) alone: add ema=true"),
        (weights("EMA_net.a.w"), {}, "mine holds averaged weights (EMA) alone: add ema=true"),
        (weights("swa_weights.a.w", "swa_weights.b.w"), {}, "mine holds averaged weights (EMA) alone: add ema=true"),
        (weights("s.a.w", "s.b.w"), {"ema": True}, "mine holds no averaged weights (EMA): leave ema=true out"),
        (weights("s.c.w", "ema.d.w"), {"ema": True},
         "mine: none of its 2 weights belongs to net (s.c.w, ema.d.w, ...): "),
        (weights("s.c.w", "t.d.w"), {"ema": True}, "mine holds no averaged weights (EMA): leave ema=true out"),
        (weights("s.a.w", "s.b.w", "c", "d"), {"prefix": "t"},
         "mine: no weights of net stand under prefix=t; its names begin s.a.w, s.b.w, c"),
        (weights("c", "d", "e", "f"), {},
         "mine: none of its 4 weights belongs to net (c, d, e, ...): name the architecture that was trained, or score "
         "the network as Python: --model MODULE:FUNCTION"),
    ],
)  # fmt: skip
def test_fitted__refusals_word_by_word(tensors: Any, options: Any, message: str) -> None:
    with pytest.raises((UsageError, EncoderError)) as refused:
        fitted("mine", SHAPES, tensors, "net", **options)
    assert str(refused.value).startswith(message)


def test_fitted__which_prefix_and_what_is_elsewhere() -> None:
    both = weights("s.a.w", "s.b.w", "t.a.w", "t.b.w")
    assert fitted("mine", SHAPES, both, "net").prefix == "s."  # the same weights twice
    deeper = weights("z.z.a.w", "z.z.b.w", "y.a.w", "y.b.w")
    assert fitted("mine", SHAPES, deeper, "net").prefix == "y."
    averaged = weights("ema.a.w", "ema.b.w")
    assert fitted("mine", SHAPES, averaged, "net", prefix="ema").prefix == "ema."
    most = fitted("mine", SHAPES, weights("s.a.w", "t.a.w", "t.c.w", "u.u.a.w"), "net")
    assert (most.prefix, sorted(most.tensors), sorted(most.elsewhere)) == ("s.", ["a.w"], ["t.a.w", "t.c.w", "u.u.a.w"])
    whole = fitted("mine", SHAPES, weights("a.w", "b.w", "head.w", "copy.a.w", "copy.b.w", "x_ema.c", value=1), "net")
    assert (sorted(whole.tensors), sorted(whole.elsewhere)) == (
        ["a.w", "b.w", "head.w"],
        ["copy.a.w", "copy.b.w", "x_ema.c"],
    )
    many = {**{f"l{i}.w": torch.Size([2]) for i in range(10)}}
    for count, fits in ((2, True), (1, False)):
        tensors = weights(*(f"s.l{i}.w" for i in range(count)))
        if fits:
            assert fitted("mine", many, tensors, "net").prefix == "s."
            continue
        with pytest.raises(EncoderError, match="none of its 1 weights belongs to net"):
            fitted("mine", many, tensors, "net")
    assert is_whole_somewhere(SHAPES, both)
    assert not is_whole_somewhere(SHAPES, weights("s.a.w", "t.b.w"))
    other_shape = {**weights("s.a.w"), "s.b.w": torch.ones(3)}
    assert not is_whole_somewhere(SHAPES, other_shape)
