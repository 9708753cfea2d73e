"""One family or name tried: the checkpoint written, loaded as a user would, and compared."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from PIL import Image

from benchmark.encoders import Embedder, Encoder, load_encoder, pixel_backend
from builders.errors import CamtraceError
from builders.untrusted import describe_error
from tests.encoders_by_hand.case import Case, randomise

tf.utils.logging.set_verbosity_error()
tf.utils.logging.disable_progress_bar()

LIMIT = 1e-5
"""Largest relative error that counts as right."""

ROUNDING, LARGEST_ROUNDING = 4, 1e-4
"""An error in float32 may be rounding up to so many times the library's own, or up to the second number: the order of
sums depends on the batch and on the layout in memory."""

HEAD_LIMIT = 1e-2
"""A classifier on timm's own input of it that misses the logits by more than this is not all of timm's head."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    verdict: str
    """``right``, ``refused`` (in one sentence, as it should) or ``WRONG``."""
    words: str
    """The recorded pooling, or the sentence."""
    path: str = ""
    """How the preprocessing is carried out."""
    error: str = ""
    """Relative, against the library by hand."""
    head: str = ""
    """Relative error of the logits, where the family has a head."""
    family: str = ""
    """``model_type``, or timm's architecture."""
    options: str = ""
    """What stands after ``?`` in the spec."""
    rounding: float = 0.0
    """The library's own relative error in float32, where that is larger than ``LIMIT``."""

    def line(self) -> str:
        """For a terminal."""
        numbers = " ".join(part for part in (self.error, self.head and f"head {self.head}", self.path) if part)
        return f"{self.verdict:8}{self.name:36} {numbers}  {self.words}"


def photos() -> list[Image.Image]:
    """Three smooth, coloured photos of different shapes."""
    generator = np.random.default_rng(0)
    coarse = [generator.integers(0, 256, (9, 9, 3), dtype=np.uint8) for _ in range(3)]
    sizes = [(500, 375), (333, 481), (260, 260)]
    return [Image.fromarray(c).resize(s, Image.Resampling.BICUBIC) for c, s in zip(coarse, sizes, strict=True)]


def save(case: Case, folder: Path) -> None:
    """The tiny checkpoint."""
    torch.manual_seed(0)
    model = case.build()
    randomise(model)
    if case.processor is not None:
        processor = case.processor()
        _measure_norms(model, processor)
        processor.save_pretrained(folder)
    model.eval().save_pretrained(folder)


@torch.no_grad()
def _measure_norms(model: Any, processor: Any) -> None:
    """Means and variances of batch norms as of the photos: with others, little of a photo reaches a network's end."""
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    if not norms or getattr(model, "main_input_name", "") != "pixel_values":
        return
    for layer in norms:
        layer.momentum = 1.0  # those of this batch alone
    part = getattr(model, "vision_model", model)
    with contextlib.suppress(Exception):  # pictures of several sizes, or a decoder that is too small for its encoder
        part.train()(torch.cat([processor(images=p, return_tensors="pt")["pixel_values"] for p in photos()]))


def embed(encoder: Encoder, pictures: list[Image.Image]) -> np.ndarray:
    """All in one batch, through the encoder's own preprocessing."""
    return encoder.embed(torch.stack([torch.from_numpy(encoder.preprocess(p)) for p in pictures])).numpy()


def by_hand(case: Case, folder: Path, pictures: list[Image.Image]) -> tuple[np.ndarray, Any, list[Any]]:
    """(embeddings, model, inputs), one photo after the other, by the library alone."""
    model = (case.reread or type(case.build())).from_pretrained(folder, dtype=torch.float32).eval()
    processor = _processor_of(folder)
    if processor is None:  # of timm's wrapper, which the library reads from the model's configuration
        assert case.processor is not None
        processor = case.processor()
    if case.square is not None:
        pictures = _squared(processor, pictures, case.square, case.before)
    made = [processor(images=p, return_tensors="pt", **case.processor_options) for p in pictures]
    inputs = [dict(one) if hasattr(one, "keys") else {"pixel_values": one} for one in made]
    assert case.by_hand is not None
    with torch.no_grad():
        return torch.cat([case.by_hand(model, one) for one in inputs]).numpy(), model, inputs


def _processor_of(folder: Path) -> Any | None:
    """The image processor of a checkpoint, of Pillow where there is one."""
    for options in ({"backend": "pil"}, {}):
        with contextlib.suppress(ValueError, ImportError, AttributeError, KeyError, OSError):
            return tf.AutoImageProcessor.from_pretrained(folder, **options)
    return None


def _squared(processor: Any, pictures: list[Image.Image], side: int, before: bool) -> list[Image.Image]:
    """The photos as squares, or as they are where the processor, changed in place, makes them square."""
    if before:
        resample = Image.Resampling(int(getattr(processor, "resample", None) or Image.Resampling.BICUBIC))
        return [picture.resize((side, side), resample) for picture in pictures]
    processor.size = {"height": side, "width": side}
    for setting in ("do_pad", "do_center_crop"):
        if getattr(processor, setting, None):
            setattr(processor, setting, False)
    return pictures


def try_case(name: str, case: Case, below: Path) -> Row:
    """A family of transformers."""
    return _in_folder(name, below, partial(_case_row, name, case))


@torch.no_grad()
def _by_hand_in_double(case: Case, model: Any, inputs: list[dict[str, Any]]) -> np.ndarray:
    """The library's call in float64, of the same pixels."""
    assert case.by_hand is not None
    network = copy.deepcopy(model).double()

    def in_double(value: Any) -> Any:
        if isinstance(value, list):
            return [in_double(each) for each in value]
        return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    made = [{key: in_double(value) for key, value in one.items()} for one in inputs]
    return torch.cat([case.by_hand(network, one) for one in made]).numpy()


def try_timm(name: str, below: Path) -> Row:
    """A name of timm: its own architecture, thinner, its own preprocessing."""
    return _in_folder(name, below, partial(_timm_row, name))


def _in_folder(name: str, below: Path, make_row: Callable[[Path], Row]) -> Row:
    """The row of a trial in a new folder; one that fails is a row with an error, and the others go on."""
    with tempfile.TemporaryDirectory(dir=below) as folder:
        try:
            return make_row(Path(folder))
        except Exception as error:
            return Row(name, "WRONG", describe_error(error))


def _case_row(name: str, case: Case, folder: Path) -> Row:
    save(case, folder)
    family = json.loads((folder / "config.json").read_text())["model_type"]
    options = case.options or (f"size={case.square}" if case.square else "")
    spec = f"local-dir:{folder}" + (f"?{options}" if options else "")
    try:
        encoder = load_encoder(spec, device="cpu", runtime="torch")
    except CamtraceError as error:
        sentence = str(error).replace(f"local-dir:{folder.name}", "it")
        fine = case.by_hand is None and case.words in sentence and "\n" not in sentence
        return Row(name, "refused" if fine else "WRONG", sentence, family=family)
    if case.by_hand is None:
        return Row(name, "WRONG", f"is not refused: {encoder.info.pooling}")
    expected, model, inputs = by_hand(case, folder, photos())
    embeddings, head, rounding, words = embed(encoder, photos()), None, 0.0, encoder.info.pooling
    error = relative_error(embeddings, expected)
    if LIMIT <= error < float("inf"):
        in_double = _by_hand_in_double(case, model, inputs)
        rounding = relative_error(expected, in_double)
        words += f" (in float64; in float32 the library itself errs by {rounding:.0e})"
        fine = error < max(LARGEST_ROUNDING, ROUNDING * rounding)
        error = relative_error(_in_double(encoder, photos()), in_double) if fine else error
    if case.head is not None:
        with torch.no_grad():
            logits = torch.cat([case.logits(model, one) for one in inputs]).numpy()
            head = relative_error(case.head(model, torch.from_numpy(embeddings)).numpy(), logits)
    row = Row(
        name,
        "right" if error < LIMIT and (head is None or head < max(LARGEST_ROUNDING, ROUNDING * rounding)) else "WRONG",
        words,
        path=pixel_backend(encoder.preprocess),
        error=f"{error:.0e}",
        head=f"{head:.0e}" if head is not None else "",
        family=family,
        rounding=rounding,
    )
    return row if case.words in encoder.info.pooling else replace(row, verdict="WRONG")


def _timm_row(name: str, folder: Path) -> Row:
    import timm
    from timm.data import create_transform, resolve_model_data_config
    from timm.models import save_for_hf

    options = _thin(name)
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False, **options).eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    pixels = torch.stack([transform(p) for p in photos()])
    _measure_on(model, pixels)
    save_for_hf(model, folder, model_args=options)
    encoder = load_encoder(f"local-dir:{folder}", device="cpu", runtime="torch")

    def before_head(model: Any, pixels: torch.Tensor) -> torch.Tensor:
        features = model.forward_head(model.forward_features(pixels), pre_logits=True)
        return features.mean((2, 3)) if features.ndim == 4 else features

    row = _compared(name, name.partition(".")[0], encoder, before_head, model, pixels)
    row = replace(row, words=re.sub(r"SelectAdaptivePool2d.*?(?= \(in float64|$)", "avg)", row.words))
    with torch.no_grad():
        classifier, logits = model.get_classifier(), model(pixels).numpy()
        if not isinstance(classifier, torch.nn.Linear):
            return row
        of_library = relative_error(classifier(before_head(model, pixels)).numpy(), logits)
        if of_library > HEAD_LIMIT:  # more than the linear layer comes after (EfficientViT: a batch norm)
            return row
        head = relative_error(classifier(torch.from_numpy(embed(encoder, photos()))).numpy(), logits)
    verdict = row.verdict if head < max(LARGEST_ROUNDING, ROUNDING * row.rounding) else "WRONG"
    return replace(row, head=f"{head:.0e}", verdict=verdict)


@torch.no_grad()
def _measure_on(model: torch.nn.Module, pixels: torch.Tensor) -> None:
    """Statistics of batch norms as of the photos: with others, little of a photo reaches a network's end."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # those of this batch alone
    model.train()(pixels)
    model.eval()


def try_open_clip(name: str, below: Path) -> Row:
    """An architecture of open_clip: its own towers, thinner, its own preprocessing."""
    return _in_folder(name, below, partial(_open_clip_row, name))


def _open_clip_row(name: str, folder: Path) -> Row:
    import open_clip
    from safetensors.torch import save_file

    config = open_clip.get_model_config(name)
    vision = config["vision_cfg"]
    if "timm_model_name" not in vision:
        layers = vision.get("layers", 2)
        vision |= {"layers": [1, 1, 1, 1] if isinstance(layers, list) else 2, "width": 64}
        vision |= {} if isinstance(layers, list) else {"head_width": 32}
    config["text_cfg"] = {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 1}
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    settings = {"model_cfg": config, "preprocess_cfg": {"mean": list(mean), "std": list(std)}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=False)
    pixels = torch.stack([transform(p) for p in photos()])
    _measure_on(model.visual, pixels)
    model = model.eval()
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    encoder = load_encoder(f"local-dir:{folder}", device="cpu", runtime="torch")
    return _compared(name, name, encoder, lambda model, pixels: model.encode_image(pixels), model, pixels)


@torch.no_grad()
def _compared(
    name: str,
    family: str,
    encoder: Encoder,
    reference: Callable[[Any, torch.Tensor], torch.Tensor],
    model: Any,
    pixels: torch.Tensor,
) -> Row:
    """The row of an encoder against the library's own call, one photo after the other.

    Deep networks with random weights may magnify float32's rounding above ``LIMIT``, the library's own included. Then
    both are compared in float64, on the same pixels, and float32's error must be of the size of the library's own.

    Args:
        reference: (model, pixels) -> embeddings.
        pixels: by the library's own transform.
    """
    of_library = torch.cat([reference(model, one[None]) for one in pixels]).numpy()
    error, words = relative_error(embed(encoder, photos()), of_library), encoder.info.pooling
    fine, rounding = error < LIMIT, 0.0
    if not fine and of_library.ndim == 2:
        in_double = reference(copy.deepcopy(model).double(), pixels.double()).numpy()
        rounding = relative_error(of_library, in_double)
        of_encoder = _in_double(encoder, photos())
        fine = (
            error < max(LARGEST_ROUNDING, ROUNDING * rounding)
            and (error := relative_error(of_encoder, in_double)) < LIMIT
        )
        words += f" (in float64; in float32 the library itself errs by {rounding:.0e})"
    return Row(
        name,
        "right" if fine else "WRONG",
        words,
        path=pixel_backend(encoder.preprocess),
        error=f"{error:.0e}",
        family=family,
        rounding=rounding,
    )


def _in_double(encoder: Encoder, pictures: list[Image.Image]) -> np.ndarray:
    """What an encoder's network gives in float64 of the pixels that it reads."""
    embedder = encoder.embed
    assert isinstance(embedder, Embedder)
    views = torch.stack([torch.from_numpy(encoder.preprocess(picture)) for picture in pictures])
    pixels = embedder.normalise(views) if embedder.normalise is not None else views
    return embedder.forward(copy.deepcopy(embedder.module).double(), pixels.double()).numpy()


def _thin(name: str) -> dict[str, Any]:
    """Options that make a model of this name small, as far as its architecture takes them."""
    import timm

    for options in (
        {"depth": 1, "embed_dim": 64, "num_heads": 2},
        {"depth": 1},
        {"depths": (1, 1, 1, 1)},
        {},
    ):
        try:
            with torch.device("meta"):
                timm.create_model(name, pretrained=False, **options)
        except Exception:  # it takes other options
            continue
        return options
    return {}


def relative_error(result: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference over the largest departure of a photo from the mean of all; infinite where shapes differ.

    >>> relative_error(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[1.0, 5.0], [3.0, 5.5]]))
    0.5
    """
    if result.shape != expected.shape:
        return float("inf")
    return float(np.abs(result - expected).max() / max(np.abs(expected - expected.mean(0)).max(), 1e-30))
