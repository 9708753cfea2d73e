"""Reports of loading weights: what is refused first, in which words, and which names are ignored for which reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders.loaders.checkpoint_files.fitting import fitted, is_whole_somewhere, sentences
from benchmark.encoders.loaders.weights_check import (
    LoadReport,
    _report,
    first_names,
    load_exactly,
    reason_of,
    recorded_loads,
    require_all,
    require_finite,
    require_weights,
    shape_words,
    unread_outside,
    zero_unread,
)
from builders.errors import EncoderError, UsageError

NEAREST = "save it again with the library that trained it, so that config.json describes these weights"


def outside(key: str) -> str:
    return "elsewhere" if key.startswith("out.") else ""


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ({"missing": ("a",), "mismatched": ("b is 1 instead of 2",), "unexpected": ("c",), "integers": ("d",)},
         f"the checkpoint lacks 1 of its weights (a), which would be random numbers; {NEAREST}"),
        ({"mismatched": ("b is 1 instead of 2",), "unexpected": ("c",), "integers": ("d",)},
         f"1 of its weights does not fit by shape (b is 1 instead of 2); {NEAREST}"),
        ({"mismatched": ("b is 1", "a is 2", "out.a is 2")},
         f"2 of its weights do not fit by shape (a is 2, b is 1); {NEAREST}"),
        ({"unexpected": ("c", "out.c", "x.pooler.c"), "integers": ("d",)},
         f"the checkpoint holds 1 weights that the network of its configuration has no place for (c); {NEAREST}"),
        ({"integers": ("d", "out.e", "f")},
         "the checkpoint holds 2 weights as integers without their scale (d, f); score "
         "the checkpoint from before its quantisation"),
        ({"missing": ("a.w", "b.w"), "unexpected": ("net.a.w", "net.b.w", "z")},
         "the checkpoint lacks 2 of its weights (a.w, b.w), which would be random numbers; in its file their names "
         "begin with 'net.': take that away from them"),
        ({"missing": ("a.w", "b.w"), "unexpected": ("net.a.w", "other.b.w")},
         f"the checkpoint lacks 2 of its weights (a.w, b.w), which would be random numbers; {NEAREST}"),
        ({"missing": ("a.w",), "unexpected": ("neta.w",)},
         f"the checkpoint lacks 1 of its weights (a.w), which would be random numbers; {NEAREST}"),
    ],
)  # fmt: skip
def test_require_weights__the_first_that_applies(report: Any, message: str) -> None:
    with pytest.raises(EncoderError) as refused:
        require_weights("mine", LoadReport(**report), outside)
    assert str(refused.value) == (f"mine: {message}")


def test_require_weights__sentences_about_what_is_ignored() -> None:
    report = LoadReport(
        missing=("out.a", "x.mask_token", "logit_scale"),
        unexpected=("out.d", "out.a", "out.c", "out.b", "n.num_batches_tracked", "out.pooler.x"),
        mismatched=("out.a is 1 instead of 2",),
        integers=("out.b",),
    )
    assert require_weights("mine", report, outside) == [
        "n.num_batches_tracked: counts batches of the training", "out.a, out.b, out.c and 2 more: elsewhere",
    ]  # fmt: skip
    assert require_weights("mine", LoadReport()) == []
    assert require_all("mine", [report, LoadReport()], outside) == require_weights("mine", report, outside)
    with pytest.raises(
        EncoderError, match=r"^mine: no weights were loaded; save the checkpoint again, as safetensors$"
    ):
        require_all("mine", [])
    with pytest.raises(EncoderError, match=r"; do this$"):
        require_all("mine", [LoadReport(unexpected=("a",))], remedy="do this")


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


def test_zero_unread__buffers_too_and_nothing_else() -> None:
    module = nn.BatchNorm1d(2)
    calls: list[int] = []

    def embed() -> torch.Tensor:
        calls.append(1)
        return torch.ones(1)

    with torch.no_grad():
        module.running_var.fill_(5)  # type: ignore[union-attr]
    zero_unread("mine", module, ["gone", "num_batches_tracked"], embed)
    assert calls == []
    zero_unread("mine", module, ["running_var", "weight", "gone"], embed)
    assert (module.running_var.tolist(), module.weight.tolist(), module.bias.tolist()) == ([0, 0], [0, 0], [0, 0])  # type: ignore[union-attr]
    assert module.running_mean.tolist() == [0, 0]  # type: ignore[union-attr]
    with pytest.raises(EncoderError) as refused:
        zero_unread("mine", module, ["bias"], lambda: module.bias)
    assert str(refused.value) == (
        f"mine: the checkpoint lacks 1 of its weights (bias), which the embedding reads; {NEAREST}"
    )


def test_load_exactly__remedy_and_shapes() -> None:
    tensors = {"weight": torch.ones(2, 2), "bias": torch.ones(3)}
    with pytest.raises(EncoderError) as refused:
        load_exactly("mine", nn.Linear(2, 2), tensors, "it")
    assert str(refused.value) == (
        "mine: 1 of its weights does not fit by shape (bias is 3 instead of 2); take its file out of the cache, so "
        "that it is fetched again"
    )
    with recorded_loads() as reports, pytest.raises(RuntimeError):
        nn.Linear(2, 2).load_state_dict(tensors)
    assert reports == [LoadReport(mismatched=("bias is 3 instead of 2",))]
    with recorded_loads() as reports:
        module = nn.Linear(2, 1)
        module.load_state_dict({"weight": torch.ones(1, 2, dtype=torch.int8), "bias": torch.ones(1)})
    assert reports == [LoadReport(integers=("weight",))]


def test_unread_outside__of_the_whole_model_and_of_a_part() -> None:
    model = nn.ModuleDict({"encoder": nn.ModuleDict({"layers": nn.Linear(1, 1)}), "head": nn.Identity()})
    of_all = unread_outside(model, "", ("base", "model"))
    for key, out in (
        ("encoder.layers.weight", False), ("base.encoder.x", False), ("base.model.encoder.x", False), ("scale", False),
        ("base.scale", False), ("head.weight", True), ("other.x", True), ("base.other.x", True), ("x.encoder.y", True),
    ):  # fmt: skip
        assert bool(of_all(key)) == out, key
    of_part = unread_outside(model, "encoder", ("base",))
    for key, out in (
        ("encoder.layers.weight", False), ("base.encoder.layers.9.x", False), ("encoder.token", False),
        ("encoder.base.layers.x", False), ("encoder.norm.weight", True), ("layers.weight", True), ("scale", True),
    ):  # fmt: skip
        assert of_part(key) == ("a task head or another tower" if out else ""), key


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


def test_sentences__by_reason_with_the_first_three_names() -> None:
    names = ["b2", "a4", "a1", "b1", "a3", "a2", "c" * 130]
    assert sentences(names, lambda name: f"because {name[0]}") == [
        "a1, a2, a3 and 1 more: because a", "b1, b2: because b", f"{'c' * 120}: because c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "is_integer"),
    [
        *((kind, False) for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64)),
        *((kind, True) for kind in (torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool)),
    ],
)
def test_report__integers_where_the_network_has_numbers_with_a_point(kind: Any, is_integer: bool) -> None:
    network = nn.BatchNorm1d(3)  # whose count of batches is an integer
    tensors = {"weight": torch.ones(3).to(kind), "num_batches_tracked": torch.ones(()).to(kind), "more": torch.ones(1)}
    given = SimpleNamespace(missing_keys=["bias"], unexpected_keys=["more"])
    report = _report(network, tensors, given)
    assert report == LoadReport(("bias",), ("more",), (), ("weight",) if is_integer else ())
    assert _report(network, {"weight": "no tensor"}, given).integers == ()
