"""Reports of loading weights: what is refused first, in which words, and which names are ignored for which reason."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.encoders.admission.gate import first_names, reason_of, require_finite
from benchmark.encoders.admission.sources import shape_words
from benchmark.encoders.loaders.checkpoint_files.fitting import fitted, is_whole_somewhere
from builders.errors import EncoderError


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
    assert "running_mean" in str(one.value)
    with torch.no_grad():
        module.bias[0] = torch.nan
    with pytest.raises(EncoderError, match="running_mean"):
        require_finite("mine", module)


SHAPES = {"a.w": torch.Size([2]), "b.w": torch.Size([2]), "n.num_batches_tracked": torch.Size([])}


def weights(*names: str, value: float = 1.0) -> dict[str, torch.Tensor]:
    return {name: torch.full((2,), value) for name in names}


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
        with pytest.raises(EncoderError, match="weights"):
            fitted("mine", many, tensors, "net")
    assert is_whole_somewhere(SHAPES, both)
    assert not is_whole_somewhere(SHAPES, weights("s.a.w", "t.b.w"))
    other_shape = {**weights("s.a.w"), "s.b.w": torch.ones(3)}
    assert not is_whole_somewhere(SHAPES, other_shape)
