"""``arch=LIBRARY:NAME``: the network that weights belong to, made by its library without weights."""

from __future__ import annotations

import contextlib
import inspect
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from benchmark.encoders.loaders.libraries import open_clip_model, quiet, timm_model, torchvision_model
from benchmark.encoders.loaders.library_model import LibraryModel, without_classifier
from benchmark.encoders.provenance import Training
from benchmark.encoders.suggestions import did_you_mean, named_elsewhere, unknown_model
from builders.errors import CamtraceError, UsageError
from builders.untrusted import describe_error, from_hub

LIBRARIES = ("timm", "torchvision", "open_clip", "transformers")
"""Libraries that ``arch=`` names."""

OPTION = "arch."
"""Prefix of options that are arguments of the architecture, such as ``arch.global_pool=avg``."""


NAMED = "arch="
"""Source of an architecture that the specification names."""

TRANSFORMED = ("googlenet", "inception_v3")
"""Networks of torchvision with ``transform_input``, which its pretrained weights need and no file of weights holds."""

AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""Their classifiers in the middle of the network, which only a training reads."""


@dataclass(frozen=True)
class Architecture:
    """A network of a library."""

    library: str
    """One of ``LIBRARIES``."""
    name: str
    """The library's name."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the library's constructor."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Preprocessing as the training's record has it, in the words of the library."""
    source: str = NAMED
    """File that names the architecture."""

    def __str__(self) -> str:
        """As in ids and messages: of a folder only its name."""
        local = self.library == "transformers" and self.name.startswith((".", "/", "~"))
        return f"{self.library}:{Path(self.name).name if local else self.name}"

    def query(self) -> str:
        """The architecture as options of a specification."""
        arguments = [f"{OPTION}{name}={self.options[name]}" for name in sorted(self.options)]
        return "&".join([f"arch={self}", *arguments])

    def unrecorded(self) -> str:
        """What changes the embedding and stands neither in the weights nor in a record, for a notice; else empty."""
        if self.library != "torchvision" or self.name not in TRANSFORMED or "transform_input" in self.options:
            return ""
        remedy = f"add {OPTION}transform_input=true if the training began from torchvision's pretrained weights"
        return f"transform_input is not recorded and taken as false: {remedy}"


def named_architecture(label: str, text: str, options: Mapping[str, str]) -> Architecture:
    """The architecture of ``arch=TEXT``.

    Args:
        label: of the encoder, for messages.
        text: ``LIBRARY:NAME``.
        options: values of ``arch.NAME``, by name without the prefix: numbers, true, false, or text.

    Raises:
        UsageError: no library, or none of the known ones.
    """
    library, colon, name = text.partition(":")
    if not colon or library not in LIBRARIES or not name:
        hint = did_you_mean(*(f"arch={spec}" for spec in named_elsewhere(text)))
        forms = ", ".join(f"{library}:NAME" for library in LIBRARIES)
        raise UsageError(f"{label}: arch={text} names no library: {hint or f'give one of {forms}'}")
    return Architecture(library, name, argument_values(options))


def argument_values(options: Mapping[str, str]) -> dict[str, Any]:
    """Values of ``arch.NAME`` as Python has them: numbers, true, false, lists, or text.

    >>> argument_values({"global_pool": "avg", "transform_input": "true", "drop_rate": "0.1"})
    {'global_pool': 'avg', 'transform_input': True, 'drop_rate': 0.1}
    """
    return {name: _value(text) for name, text in options.items()}


def _value(text: str) -> Any:
    try:
        value = json.loads(text.lower() if text in ("True", "False") else text)  # in ids they stand as Python has them
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | list) else text


def without_weights(label: str, architecture: Architecture, size: tuple[int, int] | None) -> LibraryModel:
    """The network of an architecture with initial weights, without its classifier.

    Args:
        label: of the encoder, for messages and provenance.
        architecture: of timm, torchvision or open_clip.
        size: (height, width) of the views, where it is stated.

    Raises:
        UsageError: there is no such architecture, or it does not take its options.
    """
    model = _MAKERS[architecture.library](label, architecture, size)
    details = {key: value for key, value in model.details.items() if key not in ("tag", "url")}
    training = model.training if architecture.library == "open_clip" else Training("unknown", "unknown")
    return replace(model, details={**details, "architecture": str(architecture)}, training=training)


def _timm(label: str, architecture: Architecture, size: tuple[int, int] | None) -> LibraryModel:
    import timm
    from timm.data import resolve_data_config

    if not timm.is_model(architecture.name.partition(".")[0]):
        raise unknown_model("timm architecture", architecture.name, timm.list_models(), "timm.list_models()")
    reserved = set(inspect.signature(timm.create_model).parameters) | {
        "num_classes",
        "pretrained_cfg",
        "checkpoint_path",
    }
    options = _allowed(label, architecture, lambda name: name not in reserved)

    def make(**more: Any) -> Any:
        return timm.create_model(architecture.name, pretrained=False, num_classes=0, **{**more, **options})

    with _constructor_errors(label, architecture):
        model = None
        if size is not None and "img_size" not in options:
            with contextlib.suppress(TypeError):  # of networks that take pictures of any size
                model = make(img_size=size)
        model = model or make()
        data = resolve_data_config(dict(architecture.data), model=model) if architecture.data else {}
        if "img_size" in options and (architecture.source == NAMED or not _takes_any_size(model)):
            side = options["img_size"]
            data["input_size"] = (3, *(side if isinstance(side, list) else (side, side)))
    return timm_model(label, model, **data)


def _takes_any_size(model: Any) -> bool:
    """True if a network of timm takes pictures of other sizes than its own, as timm's trainings then show it."""
    return not getattr(getattr(model, "patch_embed", None), "strict_img_size", True)


def _torchvision(label: str, architecture: Architecture, size: tuple[int, int] | None) -> LibraryModel:
    import torchvision
    from torchvision.models import get_model, get_model_weights, list_models

    names = list_models(module=torchvision.models)
    if architecture.name not in names:
        raise unknown_model("torchvision model", architecture.name, names, "torchvision.models.list_models()")
    options = _allowed(label, architecture, lambda name: name not in ("weights", "weights_backbone", "progress"))
    with _constructor_errors(label, architecture):
        model = get_model(architecture.name, weights=None, **options)
    before = set(model.state_dict())
    for name in set(AUXILIARY) & set(dict(model.named_children())):
        delattr(model, name)  # a child that is only set to None would take weights in silence
        setattr(model, name, None)
    headless: nn.Module = without_classifier(model)
    heads = tuple(f"{name.rpartition('.')[0]}." for name in before - set(headless.state_dict()))
    if architecture.name in TRANSFORMED:  # also where the network is made without them
        heads = (*heads, *(f"{name}." for name in AUXILIARY))
    described = torchvision_model(architecture.name, label, headless, get_model_weights(architecture.name)["DEFAULT"])
    return replace(
        described, network=lambda module: module, outside=lambda key: "the classifier" if key.startswith(heads) else ""
    )


def _open_clip(label: str, architecture: Architecture, size: tuple[int, int] | None) -> LibraryModel:
    import open_clip

    if architecture.name not in open_clip.list_models():
        raise unknown_model("open_clip model", architecture.name, open_clip.list_models(), "open_clip.list_models()")
    options = _allowed(label, architecture, lambda name: name in ("force_quick_gelu", "force_image_size"))
    if size is not None:
        options.setdefault("force_image_size", size)
    # Without pretrained_hf=False it would fetch weights of a text tower.
    with _constructor_errors(label, architecture), quiet(), from_hub():
        model, _, transform = open_clip.create_model_and_transforms(
            architecture.name, pretrained=None, pretrained_hf=False, **options, **architecture.data
        )
    return open_clip_model(label, model, transform, options)


_MAKERS: Mapping[str, Callable[[str, Architecture, tuple[int, int] | None], LibraryModel]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "open_clip": _open_clip,
}


def _allowed(label: str, architecture: Architecture, allowed: Callable[[str], bool]) -> dict[str, Any]:
    """The options of an architecture; refuses those that are no property of the network."""
    for name in architecture.options:
        if not allowed(name):
            raise UsageError(f"{label}: {OPTION}{name} is no option of {architecture}")
    return dict(architecture.options)


@contextlib.contextmanager
def _constructor_errors(label: str, architecture: Architecture) -> Iterator[None]:
    """Within it, an error of a library's constructor becomes one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except CamtraceError:
        raise
    except Exception as error:  # of options that do not fit, or an optional package
        options = ", ".join(f"{name}={value}" for name, value in architecture.options.items())
        what = f"{architecture}{f' with {options}' if options else ''}"
        raise UsageError(f"{label}: {architecture.library} cannot make {what} ({describe_error(error)})") from None
