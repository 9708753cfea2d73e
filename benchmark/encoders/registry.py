"""Registry of encoders with a name in this package, and ``LoadRequest``. A module that defines one registers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.encoders.encoder import Encoder
from builders.errors import UsageError


@dataclass(frozen=True)
class LoadRequest:
    """Arguments of ``load_encoder``, as given."""

    spec: str
    device: str = "auto"
    dtype: str = "float32"
    revision: str | None = None
    trust_remote_code: bool = False
    compile: bool = False


def refuse_placement(request: LoadRequest, device: str, dtype: str, what: str) -> None:
    """Refuse options of placement that cannot apply to an encoder; ignoring them would look as if they applied.

    Args:
        request: as given.
        device: of the encoder.
        dtype: of the encoder.
        what: kind of the encoder, for the message.

    Raises:
        UsageError: ``--device``, ``--dtype`` or ``--compile`` requests something else.
    """
    inapplicable = {
        f"--device {request.device}": request.device not in ("auto", device),
        f"--dtype {request.dtype}": request.dtype not in ("float32", dtype),
        "--compile": request.compile,
    }
    for option, refused in inapplicable.items():
        if refused:
            raise UsageError(f"{request.spec} is {what}: {option} cannot apply to it; leave it out for this encoder")


@dataclass(frozen=True)
class EncoderRow:
    """One line of ``list encoders``."""

    spec: str
    """Value of ``--model``."""
    library: str
    """Library that loads it; one of ``encoder.LIBRARIES``."""
    group: str
    """One of ``encoder.GROUPS``."""
    training_data: str
    input_px: int | None
    """Side of the square input in pixels; None for an encoder that reads the photo at its own size."""
    parameters: int | None = None
    """Number of parameters that take part in the embedding; None where unknown."""
    published_name: str | None = None
    """Name of the encoder's row in the published table of the study; None if it is not one of its 47."""


@dataclass(frozen=True)
class Named:
    """An encoder with a name in this package: its row, and its loader."""

    row: EncoderRow
    load: Callable[[LoadRequest], Encoder]


NAMED: dict[str, Named] = {}
"""By spec: ``bundled:...``, ``control:...``, ``checkpoint:...``."""
