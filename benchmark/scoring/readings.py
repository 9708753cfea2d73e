"""What is read of each encoder in a run: its embedding, and the layers that were asked for beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.bank import Bank, OutputsBank
from benchmark.encoders import Encoder, Layered, Output, with_outputs
from benchmark.erasers import Eraser
from benchmark.options import RunOptions
from benchmark.scoring.collected import Collected, OutputCollected
from builders.errors import CamtraceError, UsageError


@dataclass(frozen=True)
class Reading:
    """One output of one encoder, with what becomes known of it."""

    encoder: Encoder
    got: Collected
    """Of this output."""
    of: Collected
    """Of the encoder; of its embedding these two are one."""
    output: Output | None = None
    """None for the embedding."""
    layered: Layered | None = None
    """What gives the encoder's outputs together; None where only its embedding is asked for."""
    eraser: Eraser | None = None
    """Applied to embeddings before any task reads them; None for layers, which no eraser is fitted to."""


def layers_of(
    encoders: Sequence[Encoder], options: RunOptions, collected: Sequence[Collected], eraser: Eraser | None
) -> list[Layered | None]:
    """What each encoder is read by, where layers were asked for; one that has none has failed.

    Raises:
        CamtraceError: the only encoder has not those that were asked for.
    """
    found: list[Layered | None] = []
    for encoder, got in zip(encoders, collected, strict=True):
        layered = None
        if options.outputs:
            try:
                if eraser is not None:
                    raise UsageError("an eraser is fitted to an embedding: --eraser and --outputs do not go together")
                layered = with_outputs(encoder, options.outputs)
                got.outputs = {output.name: OutputCollected(output) for output in layered.outputs}
            except CamtraceError as error:
                if len(encoders) == 1:
                    raise
                got.failures["encoder", encoder.info.id] = str(error)
        found.append(layered)
    return found


def readings(encoder: Encoder, got: Collected, layered: Layered | None, eraser: Eraser | None = None) -> list[Reading]:
    """Of one encoder, its embedding first."""
    outputs = layered.outputs if layered else ()
    beside = [Reading(encoder, got.outputs[o.name].got, got, o, layered) for o in outputs]
    return [Reading(encoder, got, got, None, layered, eraser), *beside]


def filled_together(own: Sequence[Reading], banks: Sequence[Bank]) -> tuple[Encoder, Bank | OutputsBank]:
    """The encoder that a pass runs for some readings of one encoder, and what takes its rows."""
    layered = own[0].layered
    if layered is None or all(reading.output is None for reading in own):
        return own[0].encoder, banks[0]
    columns = layered.columns()
    final = slice(0, layered.encoder.info.dimension)
    parts = [columns[reading.output.name] if reading.output else final for reading in own]
    return layered.together, OutputsBank(tuple(banks), tuple(parts), layered.together.info.dimension)
