"""How many views at a time an OpenVINO model takes, and which of its parts takes them one by one.

What a first layer makes of one view fills a core's caches; of a last layer the weights do. So the first part of a
network computes one view at a time, and the rest ``TOGETHER`` of them: each weight is read once for four views,
products have four times the rows, and a quarter as many operations begin. Embeddings are the same to the bit.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.encoders.untold_openvino import openvino

TOGETHER = 4
"""Views of the rest. EfficientNet-Lite0 took 0.87 of the time of one by one with three, 0.86 with four and 0.88 with
six (docs/performance.md)."""

FITS = 2_000_000
"""Bytes of one view that every operation of the rest reads and makes at most: those of four views lie in a core's share
of the last cache. EfficientNet-Lite0 takes 0.86 of the time from 1.5 MB on and 1.03 where they are 7 MB."""

HEAVY = 8
"""Times as many bytes of weights as of what all operations make of one view, from which the number of views is left
open. One by one, of a fixed shape, took up to a sixth less and at most 1 % more than eight at a time in the seven
networks that were measured (docs/performance.md): 0.15 to 1 times. A matrix over all pixels has 74 times."""

STARTS = {"Convolution", "GroupConvolution", "MatMul"}
"""Operations that begin something new: what reads the last of the first part, so that nothing is cut that OpenVINO
would compute in one step, and round otherwise."""


def arranged(model: Any) -> list[Any]:
    """Models of the same network, that of most views first.

    Args:
        model: an OpenVINO model of any number of views, its first axis.

    Returns:
        The model as it is where its weights are ``HEAVY``; else one of exactly one view, and before it one of exactly
        ``TOGETHER``, where there is a place from which on everything ``FITS``.
    """
    one = _of(model, 1)
    steps = _steps(one)
    if sum(step.weights for step in steps) > HEAVY * sum(step.made for step in steps):
        return [model]
    with contextlib.suppress(RuntimeError):  # a model that cannot be taken apart stays whole
        if (place := _place(steps)) is not None:
            return [_together(model, one, place), one]
    return [one]


def _of(model: Any, views: int) -> Any:
    """The same of exactly so many views; shapes that only they left open are numbers then."""
    from openvino.passes import ConstantFolding, Manager  # not at the top: after the module that imports it untold

    fixed = model.clone()
    fixed.reshape({fixed.input(0): openvino.PartialShape([views, *model.input(0).get_partial_shape()[1:]])})
    fixed.validate_nodes_and_infer_types()
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(fixed)
    return fixed


@dataclass(frozen=True)
class _Step:
    """An operation whose result depends on the views, and bytes."""

    operation: Any
    sources: tuple[Any, ...]
    """Tensors that it reads and that depend on the views."""
    weights: int
    """Of what it reads and does not depend on them."""
    read: int
    """Of ``sources``."""
    made: int


def _steps(model: Any) -> list[_Step]:
    """In the order in which they are computed: the input first, the result last."""
    steps, constant = [], set()
    for operation in model.get_ordered_ops():
        sources = [place.get_source_output() for place in operation.inputs()]
        open_ones = tuple(source for source in sources if source.get_node().get_name() not in constant)
        if not open_ones and operation.get_type_name() != "Parameter":
            constant.add(operation.get_name())
            continue
        read = sum(map(_bytes, open_ones))
        made = 0 if operation.get_type_name() == "Result" else sum(map(_bytes, operation.outputs()))
        steps.append(_Step(operation, open_ones, sum(map(_bytes, sources)) - read, read, made))
    return steps


def _bytes(place: Any) -> int:
    """Of a tensor; 0 where its shape is left open."""
    shape = place.get_partial_shape()
    return math.prod(place.get_shape()) * place.get_element_type().size if shape.is_static else 0


def _place(steps: Sequence[_Step]) -> Any | None:
    """The operation that makes what the rest begins with: the first from which on one tensor alone is read, by what
    ``STARTS`` something, and everything ``FITS``. It is the input where that is so of the whole model, and None where
    there is no place."""
    found = None
    needed: dict[tuple[str, int], tuple[Any, set[str]]] = {}  # tensors made before: by what, and what kinds read them
    for step in reversed(steps[1:]):
        if step.read + step.made > FITS:
            break
        for made in step.operation.outputs():
            needed.pop(_named(made), None)
        for source in step.sources:
            _, readers = needed.setdefault(_named(source), (source.get_node(), set()))
            readers.add(step.operation.get_type_name())
        if len(needed) == 1:
            ((maker, readers),) = needed.values()
            if readers & STARTS or maker.get_type_name() == "Parameter":
                found = maker
    return found


def _named(tensor: Any) -> tuple[str, int]:
    return tensor.get_node().get_name(), tensor.get_index()


def _together(model: Any, one: Any, place: Any) -> Any:
    """A model of ``TOGETHER`` views: up to that operation each for itself, and all together from there.

    Raises:
        RuntimeError: there is no such operation in a model of several views.
    """
    rest = _of(model, TOGETHER)
    if place.get_type_name() == "Parameter":
        return rest
    views = openvino.opset13.parameter(rest.input(0).get_shape(), rest.input(0).get_element_type())
    each = openvino.opset13.split(views, openvino.opset13.constant(0, np.int64), TOGETHER)
    name, firsts = place.get_friendly_name(), []
    for view in each.outputs():
        first = one.clone()
        _read_instead(first.input(0), view)
        firsts.append(_made_by(first, name))
    _read_instead(_made_by(rest, name), openvino.opset13.concat(firsts, 0).output(0))
    return openvino.Model(rest.get_results(), [views])


def _made_by(model: Any, name: str) -> Any:
    """The tensor that the one operation of that name makes."""
    found = [one for one in model.get_ordered_ops() if one.get_friendly_name() == name]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} operations are called {name}")
    return found[0].output(0)


def _read_instead(tensor: Any, other: Any) -> None:
    """Whatever reads a tensor reads the other one from now on."""
    for reader in tensor.get_target_inputs():
        reader.replace_source_output(other)
