"""What the graph of an ONNX file says of its tensors: which it needs, which axis is channels, which are no embedding.

Everything here reads the graph; ``file.py`` runs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def _operators(names: str) -> frozenset[str]:
    return frozenset(names.split())


SAME_NUMBERS = _operators(
    "Reshape Flatten Squeeze Unsqueeze Transpose Identity Cast Slice Split Concat Gather GatherElements Expand Pad "
    "Dropout Resize Upsample"
)
"""Operators that move numbers, or enlarge a map, and compute nothing."""

_SCALES = _operators("Add Sub Mul Div Pow Neg Log")
"""Operators that scale the numbers of one tensor where their other input is a constant."""

PROBABILITIES = _operators("Softmax LogSoftmax Sigmoid HardSigmoid LogSigmoid TopK NonMaxSuppression")
"""Operators whose output is no embedding: probabilities, their logarithms, and chosen candidates."""

_CHANNELS_SECOND = _operators(
    "Conv ConvTranspose BatchNormalization InstanceNormalization GroupNormalization LRN DepthToSpace SpaceToDepth "
    "GlobalAveragePool GlobalMaxPool QLinearConv"
)
"""Operators whose second axis is channels by ONNX's definition."""

_NORMALISE_LAST = _operators("LayerNormalization SkipLayerNormalization RMSNormalization")

_ELEMENTWISE = _operators(
    "Identity Cast CastLike Dropout Add Sub Mul Div Pow Sqrt Exp Log Neg Abs Reciprocal Erf Tanh Relu LeakyRelu PRelu "
    "Elu Selu Celu Gelu Softplus Softsign HardSigmoid HardSwish Mish Sigmoid Clip Min Max Where Slice Pad Resize "
    "Upsample Expand Concat Split Softmax LogSoftmax LpNormalization MaxPool AveragePool QuantizeLinear "
    "DequantizeLinear QuickGelu FastGelu BiasGelu Swish Sum Mean"
)
"""Operators whose output has the axes of their input."""


_WITHOUT_SHAPE = _operators("If Loop Scan SplitToSequence SequenceConstruct SequenceEmpty SequenceInsert Optional")


def tensor_names(model: Any) -> list[str]:
    """Names of the tensors that the nodes of a graph compute, the last one first."""
    return [name for node in reversed(model.graph.node) for name in node.output if name]


def cut(model: Any, tensor: str) -> Any:
    """The part of a model that computes one tensor, its only output.

    Args:
        model: ``onnx.ModelProto``.
        tensor: name of one of its tensors.
    """
    import onnx

    needed, nodes = {tensor}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed.update(_read_by(node))
    part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    graph = part.graph
    graph.name = model.graph.name
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(each for each in model.graph.initializer if each.name in needed)
    graph.sparse_initializer.extend(each for each in model.graph.sparse_initializer if each.values.name in needed)
    weights = {each.name for each in model.graph.initializer}
    graph.input.extend(each for each in model.graph.input if each.name in needed and each.name not in weights)
    declared = [each for each in model.graph.output if each.name == tensor]
    graph.output.extend(declared or [onnx.ValueInfoProto(name=tensor)])
    return part


def _read_by(node: Any) -> Iterator[str]:
    """Names that a node reads, those in its inner graphs too."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (each.name for each in graph.output)
            for inner in graph.node:
                yield from _read_by(inner)


def may_not_end(nodes: Sequence[Any]) -> bool:
    """True if a node, or one in an inner graph, is a loop."""
    return any(
        node.op_type == "Loop" or any(may_not_end(g.node) for a in node.attribute for g in (a.g, *a.graphs))
        for node in nodes
    )


def sources(model: Any, tensor: str) -> list[Any]:
    """The nodes that compute the numbers of a tensor: behind those that only move or scale numbers."""
    by_output = {name: node for node in model.graph.node if node.op_type != "Constant" for name in node.output}
    found, waiting, seen = [], [tensor], set()
    while waiting:
        name = waiting.pop()
        node = by_output.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        computed = [each for each in node.input if each in by_output or each == model.graph.input[0].name]
        if node.op_type in SAME_NUMBERS:
            waiting.extend(node.input if node.op_type == "Concat" else node.input[:1])
        elif node.op_type in _SCALES and len(computed) == 1:
            waiting.extend(computed)
        else:
            found.append(node)
    return found


WEIGHTED = _operators("Conv ConvTranspose Gemm MatMul")
"""Operators that are layers where one of their inputs is a constant."""


def last_layer_input(model: Any, output: str) -> str:
    """The tensor that the last layer with weights reads, on the way to an output: features before a classifier.

    Args:
        model: ``onnx.ModelProto``.
        output: name of one of its outputs.
    """
    weights = {each.name for each in model.graph.initializer}
    weights |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    needed = {output}
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            if node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in weights:
                return str(node.input[0])
            needed.update(_read_by(node))
    return output


def is_prediction_layer(model: Any, node: Any) -> bool:
    """True for a convolution of single positions, the last layer of detectors and segmenters."""
    if node.op_type != "Conv":
        return False
    shapes = {each.name: each.dims for each in model.graph.initializer}
    return all(side == 1 for side in shapes.get(node.input[1], (0, 0, 0))[2:])


def with_shapes(model: Any) -> tuple[Any, list[str]]:
    """A model whose outputs are the shapes of its tensors, and the names of these tensors."""
    import onnx

    part = onnx.ModelProto()
    part.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name and not _WITHOUT_SHAPE & {node.op_type}]
    del part.graph.output[:]
    part.graph.node.extend(onnx.helper.make_node("Shape", [name], [f"{name} shape"]) for name in names)
    part.graph.output.extend(onnx.ValueInfoProto(name=f"{name} shape") for name in names)
    return part, names


def channel_axes(model: Any, shapes: Mapping[str, Sequence[int]], channels_last: bool) -> Mapping[str, int]:
    """Axis of the channels of each tensor of which the graph proves it.

    Args:
        model: with one input.
        shapes: of the input and of the tensors.
        channels_last: of the input.
    """
    fixed = {each.name for each in model.graph.initializer}
    axes: dict[str, int] = {model.graph.input[0].name: 3 if channels_last else 1}
    for node in model.graph.node:
        inputs = [name for name in node.input if name]
        if all(name in fixed for name in inputs):
            fixed.update(node.output)
            continue
        axis = _axis(node, [name for name in inputs if name not in fixed], axes, fixed, shapes)
        axes.update({name: axis for name in node.output if name and axis is not None})
    return axes


def _axis(
    node: Any, inputs: Sequence[str], axes: Mapping[str, int], fixed: set[str], shapes: Mapping[str, Sequence[int]]
) -> int | None:
    """Axis of the channels in the output of a node, None where it is not certain."""
    first, before, after = inputs[0], shapes.get(inputs[0], ()), shapes.get(node.output[0], ())
    axis = axes.get(first)
    if node.op_type in _CHANNELS_SECOND:
        return 1
    if node.op_type in ("MatMul", "Gemm", "FusedMatMul") and len(inputs) == 1 and len(before) > 1:
        # A product along another axis than the channels mixes positions.
        last = len(before) - 1
        return last if axis is None and node.input[0] == first else axis
    if node.op_type in _NORMALISE_LAST:
        return len(before) - 1 if axis is None and before else axis
    if node.op_type in _ELEMENTWISE:
        known = {axes[name] - len(shapes[name]) for name in inputs if name in axes and name in shapes}
        return len(after) + known.pop() if len(known) == 1 and after else None
    if axis is None:
        return None
    if node.op_type == "Transpose":
        order = next((list(a.ints) for a in node.attribute if a.name == "perm"), list(range(len(before)))[::-1])
        return order.index(axis) if axis < len(order) else None
    if node.op_type in ("Reshape", "Flatten", "Squeeze", "Unsqueeze") and before and after:
        return _same_place(before, after, axis)
    if node.op_type.startswith("Reduce") and before and len(before) == len(after):
        return axis if after[axis] == before[axis] else None
    return None


def _same_place(before: Sequence[int], after: Sequence[int], axis: int) -> int | None:
    """Where an axis is after a reshape; None if it was split or merged.

    >>> _same_place((2, 96, 7, 7), (2, 96, 49), 1), _same_place((2, 49, 96), (2, 7, 7, 96), 2)
    (1, 3)
    >>> print(_same_place((2, 3, 8, 8), (2, 6, 32), 1))
    None
    """
    places = (i for i, size in enumerate(after) if size == before[axis] > 1)
    return next((i for i in places if math.prod(after[:i]) == math.prod(before[:axis])), None)
