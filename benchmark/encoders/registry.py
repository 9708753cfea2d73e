"""The dictionary of encoders that have a name here. Modules that define one put it in; adding one touches one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.encoders.encoder import Encoder
from builders.errors import UsageError


@dataclass(frozen=True)
class LoadRequest:
    """What the caller of ``load_encoder`` asked for; unresolved."""

    spec: str
    device: str = "auto"
    dtype: str = "float32"
    revision: str | None = None
    trust_remote_code: bool = False
    compile: bool = False


def refuse_placement(request: LoadRequest, device: str, dtype: str, what: str) -> None:
    """An option that cannot apply is an error: silence would look like obedience.

    Raises:
        UsageError: ``--device``, ``--dtype`` or ``--compile`` asks for something else than what is there.
    """
    asked = {
        f"--device {request.device}": request.device not in ("auto", device),
        f"--dtype {request.dtype}": request.dtype not in ("float32", dtype),
        "--compile": request.compile,
    }
    for option, cannot in asked.items():
        if cannot:
            raise UsageError(f"{request.spec} is {what}: {option} cannot apply to it; leave it out for this encoder")


@dataclass(frozen=True)
class EncoderRow:
    """One line of ``list encoders``."""

    spec: str
    """What ``--model`` takes."""
    library: str
    """Who loads it; one of ``encoder.LIBRARIES``."""
    group: str
    """One of ``encoder.GROUPS``."""
    training_data: str
    input_px: int | None
    """Side of the square input in pixels; None for an encoder that reads the photo at its own size."""
    parameters: int | None = None
    """Number of parameters that take part in the embedding; None where nobody has counted them."""
    published_name: str | None = None
    """Name of the encoder's row in the published table of the study; None if it is not one of its 47."""


@dataclass(frozen=True)
class Named:
    """An encoder with a name of its own: its row, and how to load it."""

    row: EncoderRow
    load: Callable[[LoadRequest], Encoder]


NAMED: dict[str, Named] = {}
"""By spec: ``bundled:...``, ``control:...``, ``checkpoint:...``."""
