"""Checked steps -> a ``Processing``: stages that end in a file, with the fields that keys of banks have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from builders.pixels.definitions.fields import FORMATS
from builders.pixels.processing import SCALE_RANGE, EditStep, Fit, Processing, Subsampling, is_range


def processing_of(name: str, steps: Sequence[EditStep]) -> Processing:
    """Steps as a processing: stages that end in a file, whose last sharpening and resize are fields of their own.

    Args:
        name: of the processing.
        steps: their last one saves a file.
    """
    stages: list[Processing] = []
    edits: list[EditStep] = []
    for step in steps:
        if step.kind in FORMATS:
            stages.append(_stage(edits, step))
            edits = []
        else:
            edits.append(step)
    last = stages.pop()
    fields = {field: getattr(last, field) for field in last.__dataclass_fields__ if field not in ("name", "before")}
    return Processing(name, before=tuple(stages), **fields)


def _stage(before: Sequence[EditStep], file: EditStep) -> Processing:
    """One stage; its steps are checked."""
    random: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    edits = list(before)

    def number(field: str, value: Any) -> None:
        if field == "scale" and value == SCALE_RANGE:
            fields[field] = None
        elif is_range(value):
            random[field] = value
        elif field == "quality" or value != 1:
            fields[field] = int(value) if float(value).is_integer() else value

    if edits and edits[-1].kind == "resize":
        values = dict(edits.pop().values)
        fields["resample"] = Image.Resampling[values["filter"].upper()]
        if values["scale"] is not None:
            number("scale", values["scale"])
        else:
            fields["fit"] = Fit(values["width"], values["height"], values["rule"], values["enlarge"])
    if edits and edits[-1].kind == "sharpen" and dict(edits[-1].values)["factor"] is not None:
        number("sharpness", dict(edits.pop().values)["factor"])
    values = dict(file.values)
    if values.get("quality") is not None:
        number("quality", values["quality"])
    if values.get("tables") is not None:
        fields["quality"] = 100  # of the tables, as a percentage (jpeg_add_quant_table)
    chroma: Subsampling = values.get("chroma", "4:4:4")
    if file.kind == "jpeg":
        fields["subsampling"] = chroma
    return Processing(
        "",
        file_format=FORMATS[file.kind],
        options=_options(file.kind, values),
        random=tuple(sorted(random.items())),
        edits=tuple(edits),
        **fields,
    )


def _options(kind: str, values: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Options of Pillow's ``save`` besides format, quality and a JPEG file's chroma. Pillow's defaults are left out."""
    options: dict[str, Any] = {}
    if kind in ("avif", "heic"):
        options["subsampling"] = values["chroma"]
    if kind == "avif":
        options |= {"speed": values["speed"], "max_threads": 1}  # with more threads pixels depend on their number
    options |= {
        name: values[field]
        for field, name, usual in (
            ("progressive", "progressive", False),
            ("optimise", "optimize", False),
            ("tables", "qtables", None),
            ("lossless", "lossless", False),
            ("method", "method", 4),
            ("effort", "effort", 7),
        )
        if values.get(field, usual) != usual
    }
    return tuple(options.items())
