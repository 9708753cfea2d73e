"""Adapters (LoRA and others) of PEFT: merged into the checkpoint that they were trained on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.encoders.admission.gate import first_names
from benchmark.encoders.encoder import Encoder, named_by_weights
from benchmark.encoders.loaders.checkpoint_files.folders import ADAPTER
from benchmark.encoders.loaders.checkpoint_files.transformers_files import copy_descriptions, load_from
from benchmark.encoders.loaders.hub import Checkpoint, fetch, read_config, split_options
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError, UsageError, missing_package
from builders.untrusted import describe_error

ANOTHER = "merge it where it was trained: model.merge_and_unload().save_pretrained(FOLDER), then --model ./FOLDER"

NAMES = "base_model.model."
"""Prefix of names of weights in an adapter."""


def load_adapter(folder: Path, label: str, request: LoadRequest) -> Encoder:
    """Load a folder with ``adapter_config.json``.

    Args:
        folder: of the adapter.
        label: of the encoder.
        request: device, precision, and the options after ``?``.

    Raises:
        UsageError: PEFT is not installed, or the base is not known or not there.
        EncoderError: the adapter does not fit its base.
    """
    config = read_config(folder / ADAPTER)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise UsageError(f"{label} is an adapter whose {ADAPTER} names no base (base_model_name_or_path); {ANOTHER}")
    _, options = split_options(request.spec)
    revision = config.get("revision")
    base_folder = _base(base, revision if isinstance(revision, str) else None, label, request)
    try:
        import peft  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError(missing_package("peft", f"{label}, an adapter,")) from None
    with tempfile.TemporaryDirectory(prefix="camtrace-") as temporary:
        merged = Path(temporary)
        _merge(base_folder, folder, merged, label)
        for source in (folder, base_folder):
            copy_descriptions(source, merged)
        encoder = load_from(merged, Checkpoint(label, merged, None, options), request)
    info = encoder.info
    query = "".join(f"{'&' if i else '?'}{name}={options[name]}" for i, name in enumerate(sorted(options)))
    base_name = Path(base).name if _is_path(base) else base
    details = {**info.details, "adapter": str(config.get("peft_type")), "base": base_name}
    named = f"{named_by_weights(label, info.weights_sha256)}{query}"
    notice = f"{label}: {config.get('peft_type')} adapter, merged into {base_name}"
    return replace(encoder, info=replace(info, id=named, details=details), notices=(*encoder.notices, notice))


def _is_path(base: str) -> bool:
    return base.startswith((".", "/", "~")) or Path(base).expanduser().is_dir()


def _base(base: str, revision: str | None, label: str, request: LoadRequest) -> Path:
    """The folder of the base."""
    if _is_path(base):
        folder = Path(base).expanduser()
        if not folder.is_dir():
            raise UsageError(f"{label} is an adapter of {Path(base).name}, a folder that is not there; {ANOTHER}")
        return folder
    try:
        return fetch(base, revision, request.trust_remote_code)[0]
    except CamtraceError as error:
        raise EncoderError(f"{label} is an adapter of {base}, which cannot be loaded ({error}); {ANOTHER}") from None


def _merge(base: Path, adapter: Path, target: Path, label: str) -> None:
    """Write the base with the adapter merged into its weights, as a checkpoint of transformers."""
    import peft
    import torch

    try:
        tensors = peft.utils.load_peft_weights(str(adapter), device="cpu")
        settings = peft.PeftConfig.from_pretrained(str(adapter))
        # In the type of the base, mostly bfloat16, a merge would round the sum.
        options = {"output_loading_info": True, "dtype": torch.float32, **_classes(tensors)}
        model, report = _class(base, settings).from_pretrained(base, **options)
        adapted = peft.get_peft_model(model, settings)
        expected = {name: tensor.shape for name, tensor in peft.get_peft_model_state_dict(adapted).items()}
        if wrong := {name for name, shape in expected.items() ^ {(n, t.shape) for n, t in tensors.items()}}:
            raise EncoderError(
                f"{label} has not the weights that its configuration says ({first_names(wrong)}); {ANOTHER}"
            )
        peft.set_peft_model_state_dict(adapted, tensors)
        whole = adapted.merge_and_unload()
        random = {*report["missing_keys"], *(str(key[0]) for key in report["mismatched_keys"])}
        random -= {name.removeprefix(NAMES) for name in tensors}
        # What neither has is left out: as weights of the merged checkpoint it would look as if it had been trained.
        state = {name: tensor for name, tensor in whole.state_dict().items() if name not in random}
        whole.save_pretrained(target, state_dict=state)
    except CamtraceError:
        raise
    except Exception as error:  # of PEFT and transformers
        raise EncoderError(f"{label}: PEFT cannot merge the adapter ({describe_error(error)}); {ANOTHER}") from None


def _class(base: Path, settings: Any) -> Any:
    """The class of transformers that the adapter was trained on."""
    import transformers

    mapping = settings.auto_mapping or {}
    config = transformers.AutoConfig.from_pretrained(base)
    for name in (mapping.get("base_model_class"), *(config.architectures or [])):
        named = getattr(transformers, str(name), None)
        if isinstance(named, type) and issubclass(named, transformers.PreTrainedModel):
            return named
    return transformers.AutoModel


def _classes(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for a classifier of another number of classes than the base's."""
    heads = [tensor for name, tensor in tensors.items() if name.endswith(("classifier.weight", "fc.weight"))]
    return {"num_labels": int(heads[-1].shape[0]), "ignore_mismatched_sizes": True} if heads else {}
