"""Encoders of the transformers library, from a folder that ``save_pretrained`` wrote.

``embeddings.py`` decides which outputs are embeddings, ``inputs.py`` how views are made.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmark.encoders.admission.gate import ELSEWHERE, admit
from benchmark.encoders.admission.sources import Sources, sources_of_pretrained
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers.classifiers import classifier_class, classifier_embedding, cut_classifier
from benchmark.encoders.loaders.transformers.embeddings import (
    FAMILIES,
    TOWERS,
    Embedding,
    Loaded,
    general_embedding,
)
from benchmark.encoders.loaders.transformers.inputs import image_inputs
from benchmark.encoders.loaders.transformers.one_size import Inputs
from benchmark.encoders.loaders.transformers.positions import is_named_width
from benchmark.encoders.loaders.transformers.refusals import more_than_a_picture, refuse_what_reads_no_photo
from benchmark.encoders.loaders.transformers.towers import (
    describes_images,
    image_text_embeddings,
    tower_embedding,
    without_language_layers,
)
from benchmark.encoders.network import Network, network_encoder, probe_image
from benchmark.encoders.placement import placement
from benchmark.encoders.provenance import group_and_data
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError, UsageError, missing_package
from builders.untrusted import describe_error, first_line, list_folder

TEXT_PARTS = (
    *("text_model", "text_projection", "logit_scale", "logit_bias", "token_embedding", "temperature"),
    *("language_model", "lm_head", "embed_tokens", "audio_tower", "embed_audio"),
)
"""Attributes of models that the embedding of an image does not use; deleted after loading."""

PROJECTIONS = ("visual_projection", "vision_projection", "image_projection")
"""Names of the projection of the image tower in models with two towers."""


def load_checkpoint(checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    """Load a folder that ``save_pretrained`` wrote.

    Args:
        checkpoint: the folder and its options.
        request: gives device, dtype and ``trust_remote_code``.

    Raises:
        UsageError: a model of text, sound or video, an output that it does not have, or code from the Hub without
            ``trust_remote_code``.
        EncoderError: the files cannot be read, or weights of the embedding are missing.
    """
    import transformers

    place = placement(request.device, request.dtype, request.compile)
    with quiet_library(), one_sentence(checkpoint, request.trust_remote_code):
        config = transformers.AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=request.trust_remote_code)
        config = getattr(config, "thinker_config", config)  # of models that speak, the part that sees
        refuse_what_reads_no_photo(checkpoint.name, config)
        inputs = image_inputs(checkpoint, config, _patches(checkpoint), request.trust_remote_code)
        model, sources, missing = _load(checkpoint, config, request.trust_remote_code)
        two_towers = hasattr(model, "get_image_features")
        if two_towers:
            drop_text(model)
        loaded = Loaded(model, missing, _probe_batch(inputs), inputs.arguments)
        embeddings = _embeddings(checkpoint.name, loaded)
        output, embedding = _chosen(checkpoint, embeddings)
        module, part = model.get_submodule(embedding.part), embedding.part
        admission = admit(checkpoint.name, module, sources, part=part, outside=of_text)
        group, training_data = group_and_data(checkpoint.name, contrastive=two_towers)
        encoder = network_encoder(
            Network(
                name=checkpoint.name,
                library="transformers",
                module=module,
                preprocess=inputs.preprocessing.preprocess,
                preprocessing=inputs.preprocessing.record,
                normalise=inputs.preprocessing.normalise,
                forward=embedding.forward,
                pooling=embedding.words,
                prove=admission.prove,
                revision=checkpoint.revision,
                group=group,
                training_data=training_data,
                details={
                    "architecture": type(model).__name__,
                    "model_type": config.model_type,
                    "attention": str(getattr(model.config, "_attn_implementation", None)),
                    "transformers": transformers.__version__,
                    **({"output": output, "outputs": list(embeddings)} if len(embeddings) > 1 else {}),
                    **({"ignored_weights": [*admission.ignored]} if admission.ignored else {}),
                },
            ),
            place,
        )
        return _require_width(encoder, model)


def _load(checkpoint: Checkpoint, config: Any, trust_remote_code: bool) -> tuple[Any, Sources, frozenset[str]]:
    """The model in evaluation mode, what the library read, and names of weights that the checkpoint lacks."""
    if config.model_type in FAMILIES:
        FAMILIES[config.model_type].configure(config)
    classifier = classifier_class(config)
    if classifier is None and describes_images(config):
        without_language_layers(config)
    options: dict[str, Any] = {
        "config": config,
        "dtype": torch.float32,
        "output_loading_info": True,
        "trust_remote_code": trust_remote_code,
    }
    source = classifier or _model_class(config)
    try:
        model, report = source.from_pretrained(checkpoint.folder, **options)
    except RuntimeError as error:
        if "mismatch" not in str(error):
            raise
        # some of a language model depend on its number of layers, and a head may be of another training
        options["ignore_mismatched_sizes"] = True
        model, report = source.from_pretrained(checkpoint.folder, **options)
    if wrapped := _wrappers(report):
        options["key_mapping"] = {f"^{wrapped}": ""}
        model, report = source.from_pretrained(checkpoint.folder, **options)
    if any("pooler" in key for key in report["unexpected_keys"]) and getattr(model, "pooler", None) is None:
        with contextlib.suppress(TypeError):  # a class with a pooler on request only (data2vec)
            model, report = source.from_pretrained(checkpoint.folder, add_pooling_layer=True, **options)
    integers = () if getattr(config, "quantization_config", None) else integer_weights(checkpoint.folder)
    sources = sources_of_pretrained(model, report, integers)
    sources.prefixes = (str(getattr(model, "base_model_prefix", "")), "model", *TOWERS)
    if classifier is not None and not cut_classifier(model, config.num_labels):
        raise EncoderError(f"{checkpoint.name}: no last layer was found in {type(model).__name__}")
    return model.eval(), sources, frozenset(report["missing_keys"])


def _wrappers(report: Mapping[str, Any]) -> str:
    """What DataParallel and ``torch.compile`` put before the names of all weights in a file; empty if they did not."""
    names = report["unexpected_keys"]
    match = re.match(r"((module|_orig_mod)\.)+", min(names)) if report["missing_keys"] and names else None
    return match[0] if match and all(name.startswith(match[0]) for name in names) else ""


def integer_weights(folder: Path) -> tuple[str, ...]:
    """Names of weights that the safetensors files of a folder hold as integers of 8 bits."""
    from safetensors import safe_open

    names: list[str] = []
    for file in [folder / name for name in list_folder(folder).files if name.endswith(".safetensors")]:
        with safe_open(file, "pt") as tensors:
            names += [key for key in tensors.keys() if tensors.get_slice(key).get_dtype() in ("I8", "U8")]  # noqa: SIM118
    return tuple(names)


def _model_class(config: Any) -> Any:
    """``AutoModel``; or the class of the checkpoint for a vision tower with projection, or without a base model."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    name = (getattr(config, "architectures", None) or [""])[0]
    alone = config.model_type not in MODEL_MAPPING_NAMES and not hasattr(config, "auto_map")
    if name.endswith("VisionModelWithProjection") or alone:
        return getattr(transformers, name, transformers.AutoModel)
    return transformers.AutoModel


def _embeddings(name: str, loaded: Loaded) -> dict[str, Embedding]:
    """Embeddings that the model gives of a picture, the default first.

    Raises:
        UsageError: there are none.
    """
    config, model = loaded.model.config, loaded.model
    family = FAMILIES.get(config.model_type)
    if family is not None:
        return {"default": family.embedding, **family.others}
    if classifier_class(config) is not None:
        return {"default": classifier_embedding(loaded)}
    if describes_images(config):
        embeddings = image_text_embeddings(loaded)
        if embeddings:
            return embeddings
    lacking = next((p for p in PROJECTIONS if any(key.startswith(f"{p}.") for key in loaded.missing)), None)
    if lacking is None:
        try:
            return {"default": general_embedding(loaded)}
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
        except Exception as error:  # any model, any error: it needs more than a picture
            tower, reason = tower_embedding(loaded), first_line(error)
    else:
        tower, reason = tower_embedding(loaded), f"the checkpoint lacks {lacking}"
    if tower is None:
        raise more_than_a_picture(name, model, reason)
    return {"default": tower}


def _chosen(checkpoint: Checkpoint, embeddings: dict[str, Embedding]) -> tuple[str, Embedding]:
    wanted = checkpoint.options.get("output", next(iter(embeddings)))
    if wanted not in embeddings:
        raise UsageError(f"{checkpoint.name}: there is no output {wanted!r}; it has {', '.join(embeddings)}")
    return wanted, embeddings[wanted]


def _patches(checkpoint: Checkpoint) -> int | None:
    text = checkpoint.options.get("patches")
    if text is not None and not (text.isdecimal() and 1 <= int(text) <= 65_536):
        raise UsageError(f"{checkpoint.name}: patches is a whole number from 1 to 65536, not {text!r}")
    return None if text is None else int(text)


def _require_width(encoder: Encoder, model: nn.Module) -> Encoder:
    """Refuse an embedding whose width is none of the network: numbers over other axes than its channels."""
    if is_named_width(encoder.info.dimension, model):
        return encoder
    what = f"an embedding of {encoder.info.dimension} numbers ({encoder.info.pooling}), a width that"
    raise EncoderError(f"{encoder.info.id}: {what} neither its configuration nor its weights name")


def of_text(key: str) -> str:
    """Why an embedding does not read a weight that belongs to a language model; empty for other weights."""
    return ELSEWHERE if any(part in TEXT_PARTS for part in key.split(".")) else ""


def drop_text(model: nn.Module) -> None:
    """Delete the text tower of a model, in place."""
    for part in TEXT_PARTS:
        if hasattr(model, part):
            delattr(model, part)


def _probe_batch(inputs: Inputs) -> torch.Tensor:
    pictures = [inputs.preprocessing.preprocess(probe_image(*size)) for size in ((320, 240), (200, 300))]
    batch = torch.from_numpy(np.stack(pictures))
    normalise = inputs.preprocessing.normalise
    return normalise(batch) if normalise is not None else batch


@contextlib.contextmanager
def quiet_library() -> Iterator[None]:
    """Within it the library shows errors, but no loading reports and no progress bars."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def one_sentence(checkpoint: Checkpoint, trust_remote_code: bool) -> Iterator[None]:
    """Within it, any error of the library becomes an error of one sentence, without the path of the folder."""
    name = checkpoint.name
    try:
        yield
    except CamtraceError:
        raise
    except Exception as error:  # the library raises OSError, ValueError, KeyError, RuntimeError, SafetensorError, ...
        if needed := re.search(r"requires? the (\S+) library|Package `(\S+)` is required", str(error)):
            raise UsageError(missing_package(needed[1] or needed[2], name)) from None
        if "trust_remote_code" in str(error) and not trust_remote_code:
            raise UsageError(
                f"{name} needs code from its repo to load; read it, then allow it with --trust-remote-code"
            ) from None
        reason = describe_error(error).replace(str(checkpoint.folder), name)
        raise EncoderError(f"{name}: transformers cannot load it ({reason})") from error
