"""Checkpoints on the Hugging Face Hub and in local folders: their files, the commit, and the library that reads them.

A Hub repo is downloaded first (only the files that its library needs, safetensors preferred) and then read as a folder.
So there is one way to load, pinned to the resolved commit, and a cached repo loads without a network.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from benchmark.encoders.encoder import Encoder, named_by_weights
from benchmark.encoders.loaders.checkpoint_files.counting import check_sizes, loading_limit
from benchmark.encoders.loaders.checkpoint_files.folders import (
    checkpoint_folder,
    require_no_more_modules,
    require_torch,
)
from benchmark.encoders.preprocess.stated import STATED
from benchmark.encoders.provenance import STUDY
from benchmark.encoders.registry import LoadRequest
from benchmark.encoders.suggestions import did_you_mean, named_elsewhere, nearest_name
from builders.errors import EncoderError, RemoteError, UsageError
from builders.untrusted import (
    MAX_CONFIG_BYTES,
    MAX_HUB_FILE_BYTES,
    UntrustedInputError,
    client_message,
    files_below,
    first_line,
    from_hub,
    list_folder,
    open_untrusted,
    read_untrusted,
    read_untrusted_text,
)

if TYPE_CHECKING:
    import torch

WEIGHTS_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")
"""Suffixes of files of weights."""

LARGEST_DESCRIPTION = 256 * 2**20
"""Largest size of a configuration or vocabulary in bytes; the largest vocabularies have 40 MB."""


def check_files(folder: Path, name: str) -> int:
    """Refuse a checkpoint that a library should not read: files that are not regular, or too large.

    Args:
        folder: of the checkpoint.
        name: of the encoder, for messages.

    Raises:
        EncoderError: a file is a pipe, a device, a broken link, or too large; the folder cannot be listed; or its
            configuration states sizes that its files cannot fit.
    """
    try:
        files = [folder / file for file in list_folder(folder).files]
    except UntrustedInputError as refused:
        raise EncoderError(f"{name}: {refused.reason}") from None
    require_torch(name, [file.name for file in files], WEIGHTS_SUFFIXES)
    for file in files:
        holds_weights = file.suffix in WEIGHTS_SUFFIXES
        if holds_weights or file.suffix in (".json", ".txt", ".model"):
            try:
                with open_untrusted(file, limit=MAX_HUB_FILE_BYTES if holds_weights else LARGEST_DESCRIPTION):
                    pass
            except UntrustedInputError as refused:
                raise EncoderError(f"{name}: {file.name}: {refused.reason}") from None
    weights_bytes = sum(file.stat().st_size for file in files if file.suffix in WEIGHTS_SUFFIXES)
    check_sizes(folder, name, weights_bytes)
    return weights_bytes


def read_config(file: Path) -> dict[str, Any]:
    """A configuration; empty where the file does not exist or holds no JSON object.

    Raises:
        EncoderError: the file cannot be read.
    """
    if not os.path.lexists(file):
        return {}
    try:
        config = json.loads(read_untrusted_text(file))
    except UntrustedInputError as refused:
        raise EncoderError(f"{file.parent.name}/{file.name}: {refused.reason}") from None
    except (RecursionError, ValueError) as error:
        raise EncoderError(f"{file.parent.name}/{file.name} is not readable JSON ({client_message(error)})") from None
    return config if isinstance(config, dict) else {}


def read_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a folder that transformers' ``save_pretrained`` wrote, from one file or several.

    Raises:
        EncoderError: there are none.
    """
    import torch
    from safetensors.torch import load_file

    for pattern, read in (
        (r"model(-\d+-of-\d+)?\.safetensors", load_file),
        (r"pytorch_model(-\d+-of-\d+)?\.bin", lambda file: torch.load(file, map_location="cpu", weights_only=True)),
    ):
        files = [folder / name for name in list_folder(folder).files if re.fullmatch(pattern, name)]
        if files:
            return {name: tensor for file in files for name, tensor in read(file).items()}
    raise EncoderError(f"{folder.name}: there is no model.safetensors or pytorch_model.bin")


def library_of_card(folder: Path) -> str | None:
    """``library_name`` in the YAML head of a repo's card; None if there is none."""
    try:
        text = read_untrusted(folder / "README.md", limit=MAX_CONFIG_BYTES).decode("utf-8", "replace")
    except UntrustedInputError:
        return None
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    match = re.search(r"^library_name:\s*['\"]?([\w-]+)", head, re.MULTILINE)
    return match.group(1) if match else None


ADAPTERS = {
    "transformers": "benchmark.encoders.loaders.transformers.models:load_checkpoint",
    "open_clip": "benchmark.encoders.loaders.libraries:load_open_clip_checkpoint",
    "timm": "benchmark.encoders.loaders.libraries:load_timm_checkpoint",
}
"""The Hub's ``library_name`` -> loader of a checkpoint folder."""

_WEIGHTS = {
    "transformers": (
        r"model(-\d+-of-\d+)?\.safetensors",
        r"pytorch_model(-\d+-of-\d+)?\.bin",
    ),
    "timm": (r"model\.safetensors", r"pytorch_model\.bin"),
    "open_clip": (
        r"open_clip_(pytorch_)?model\.safetensors",
        r"open_clip_pytorch_model\.(bin|pth)",
        r"model\.safetensors",
        r"pytorch_model\.(bin|pth)",
    ),
}
"""Library -> names of files of weights in order of preference; only the first that exists is downloaded."""

_SMALL = re.compile(r"(0_[^/]+/)?[^/]+\.(json|txt|model|jinja)|README\.md")
"""Configurations, vocabularies, chat templates and the card, in the root of a repo or a folder below
(sentence-transformers)."""

OPTIONS = ("output", "patches", *STATED)
"""Options after ``?`` in the name of a transformers checkpoint; of those of preprocessing only ``size`` where the
checkpoint has its own."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk."""

    name: str
    """``EncoderInfo.id`` of the encoder."""
    folder: Path
    revision: str | None
    """Commit of a Hub repo; else None."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Values of ``OPTIONS`` in the specification."""
    of_base: bool = False
    """True if the preprocessing in the folder belongs to the architecture and not to the weights, which may have been
    trained with another one: what ``options`` state replaces it."""


def split_options(spec: str) -> tuple[str, dict[str, str]]:
    """Split a specification into the part before ``?`` and the options after it.

    Raises:
        UsageError: an unknown option, one without a value, or one that stands there twice.

    >>> split_options("org/name@main?output=projected&patches=256")
    ('org/name@main', {'output': 'projected', 'patches': '256'})
    """
    source, mark, query = spec.partition("?")
    options = dict(pairs := parse_qsl(query, keep_blank_values=True))
    unknown = [name for name, value in options.items() if name not in OPTIONS or not value]
    if unknown or (mark and not options):
        raise UsageError(f"{spec}: after ? stand {', '.join(f'{name}=...' for name in OPTIONS)}, joined by &")
    if len(options) < len(pairs):
        raise UsageError(f"{spec}: an option stands there twice")
    return source, options


def load_hub(request: LoadRequest) -> Encoder:
    """Load ``ORG/NAME[@REVISION]`` or ``hf-hub:ORG/NAME[@REVISION]``.

    Raises:
        UsageError: no such repo or revision, two different revisions, or a repo for no known library.
        EncoderError: no access, no network, or files that cannot be read.
    """
    return load_files(hub_checkpoint(request), request)


def hub_checkpoint(request: LoadRequest) -> Checkpoint:
    """The checkpoint of a Hub repo, fetched; raises as ``load_hub``."""
    spec, options = split_options(request.spec)
    repo, _, pinned = spec.removeprefix("hf-hub:").partition("@")
    if pinned and request.revision and pinned != request.revision:
        raise UsageError(f"{request.spec}: the spec says revision {pinned}, --revision says {request.revision}")
    revision = pinned or request.revision
    folder, commit = fetch(repo, revision, request.trust_remote_code)
    name = repo if revision is None else f"{repo}@{revision}"
    require_no_more_modules(folder, name)
    return Checkpoint(name + _options_text(options), checkpoint_folder(folder), commit, options)


def load_folder(request: LoadRequest) -> Encoder:
    """Load ``local-dir:PATH`` or a path: a folder that a library's ``save_pretrained`` wrote.

    Its id is the folder's name and the beginning of the weights' hash, since every training writes a
    ``checkpoint-1000``.

    Raises:
        UsageError: no such folder, or it holds no known checkpoint.
        EncoderError: its files cannot be read.
    """
    checkpoint = folder_checkpoint(request)
    encoder = load_files(checkpoint, request)
    options = _options_text(checkpoint.options)
    encoder_id = named_by_weights(checkpoint.name.removesuffix(options), encoder.info.weights_sha256) + options
    return replace(encoder, info=replace(encoder.info, id=encoder_id))


def folder_checkpoint(request: LoadRequest) -> Checkpoint:
    """The checkpoint of a local folder; raises as ``load_folder``."""
    spec, options = split_options(request.spec)
    folder = Path(spec.removeprefix("local-dir:")).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{request.spec}: there is no such folder")
    name = f"local-dir:{folder.resolve().name}"
    require_no_more_modules(folder, name)
    return Checkpoint(name + _options_text(options), checkpoint_folder(folder.resolve()), None, options)


def library_of(folder: Path, name: str, library_name: str | None) -> str:
    """The library that reads a checkpoint: the card's ``library_name`` where the files agree, else by the files.

    Many repos hold several formats. Repos of timm are read with timm, whatever else they hold.

    Args:
        folder: of the checkpoint.
        name: of the encoder.
        library_name: of the card, if it has one.

    Raises:
        UsageError: no library does.
    """
    possible = _libraries(folder)
    if not possible:
        card = f" (its card says {library_name})" if library_name else ""
        raise UsageError(f"{name} holds no checkpoint for transformers, open_clip or timm{card}")
    if name.startswith("timm/") and "timm" in possible:
        return "timm"
    if library_name in possible:
        return str(library_name)
    return next(library for library in ("open_clip", "timm", "transformers") if library in possible)


def is_checkpoint(folder: Path) -> bool:
    """True if a library's configuration is in a folder, or in that of the checkpoint in it (sentence-transformers)."""
    return bool(_libraries(checkpoint_folder(folder)))


def _libraries(folder: Path) -> list[str]:
    """The libraries that may read a folder, by its configurations."""
    config = read_config(folder / "config.json")
    possible = []
    if "architecture" in config or config.get("model_type") == "timm_wrapper":
        possible.append("timm")
    if (folder / "open_clip_config.json").is_file():
        possible.append("open_clip")
    if "model_type" in config and config["model_type"] != "timm_wrapper":
        possible.append("transformers")
    return possible


def wanted_files(
    names: Sequence[str], *, repo: str = "", library_name: str | None = None, trust_remote_code: bool = False
) -> list[str]:
    """The files of a repo to download: configurations, and the preferred weights for the library that will read them.

    Args:
        names: all files of the repo.
        repo: name of the repo; repos of timm may hold open_clip's weights too.
        library_name: of the card.
        trust_remote_code: download Python files too.

    >>> wanted_files(["config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx"])
    ['config.json', 'model.safetensors']
    """
    chosen = {name for name in names if _SMALL.fullmatch(name) or (trust_remote_code and name.endswith(".py"))}
    libraries = ["transformers", "timm"]
    if repo.startswith("timm/") and any(re.fullmatch(pattern, name) for pattern in _WEIGHTS["timm"] for name in names):
        libraries = ["timm"]
    elif "open_clip_config.json" in names and library_name not in libraries:
        libraries = ["open_clip"]
    below = r"(0_[^/]+/)?" if "modules.json" in names else ""
    for library in libraries:
        for pattern in _WEIGHTS[library]:
            matching = [name for name in names if re.fullmatch(below + pattern, name)]
            if matching:
                chosen.update(matching)
                break
    return sorted(chosen)


def _options_text(options: Mapping[str, str]) -> str:
    """Options as the end of a name, in alphabetical order."""
    return "".join(f"{'?' if not i else '&'}{name}={options[name]}" for i, name in enumerate(sorted(options)))


def load_files(checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
    """The encoder of a checkpoint on disk, by the library that reads it; raises as ``load_hub``."""
    library = library_of(checkpoint.folder, checkpoint.name, library_of_card(checkpoint.folder))
    weights_bytes = check_files(checkpoint.folder, checkpoint.name)
    if library != "open_clip":
        from benchmark.encoders.loaders.checkpoint_files.reading import require_shards

        require_shards(checkpoint.name, [checkpoint.folder / name for name in list_folder(checkpoint.folder).files])
    if checkpoint.options and library != "transformers":
        raise UsageError(
            f"{checkpoint.name}: options after ? are of transformers' checkpoints, and {library} reads this"
        )
    module, _, function = ADAPTERS[library].partition(":")
    load = getattr(importlib.import_module(module), function)
    with loading_limit(checkpoint.name, weights_bytes):
        return load(checkpoint, replace(request, revision=None))


def fetch(
    repo: str, revision: str | None, trust_remote_code: bool = False, *, weights: bool = True
) -> tuple[Path, str]:
    """(folder, commit) of a repo in the local cache, downloaded if the Hub can be reached.

    Args:
        repo: ``ORG/NAME``.
        revision: branch, tag or commit; None for the newest.
        trust_remote_code: fetch Python files too.
        weights: False for configurations alone.
    """
    from huggingface_hub import HfApi, errors, snapshot_download

    label = repo if revision is None else f"{repo}@{revision}"
    try:
        try:
            with from_hub():
                info = HfApi().model_info(repo, revision=revision)
        except (errors.HfHubHTTPError, errors.HFValidationError, errors.RevisionResolutionError):
            raise
        except Exception as error:  # no network: the client passes errors of its HTTP library on
            why = str(error) if isinstance(error, RemoteError) else type(error).__name__
            try:
                folder = _cached(repo, revision)
            except errors.LocalEntryNotFoundError:
                reason = f"the Hub cannot be reached ({why}), and neither the local cache nor a folder has this model"
                raise EncoderError(f"{label}: {reason}") from None
            try:
                files = files_below(folder)
            except UntrustedInputError as refused:
                raise EncoderError(f"{label}: its copy in the local cache: {refused.reason}") from None
            if weights and not any(name.endswith((".safetensors", ".bin", ".pth")) for name in files):
                reason = f"the Hub cannot be reached ({why}) and the cache has no weights"
                raise EncoderError(f"{label}: {reason}") from None
            return folder, folder.name
        names = [sibling.rfilename for sibling in info.siblings or []]
        wanted = wanted_files(names, repo=repo, library_name=info.library_name, trust_remote_code=trust_remote_code)
        if weights and not any(name.endswith(WEIGHTS_SUFFIXES) for name in wanted):
            require_torch(label, names, WEIGHTS_SUFFIXES)
        if not weights:
            wanted = [name for name in wanted if not name.endswith(WEIGHTS_SUFFIXES)]
        commit = info.sha or revision or "main"
        with from_hub():
            return Path(snapshot_download(repo, revision=commit, allow_patterns=wanted)), commit
    except (EncoderError, UsageError):
        raise
    except errors.GatedRepoError:
        raise EncoderError(f"{label} is gated: accept its terms on the Hub, then run: hf auth login") from None
    except errors.RevisionNotFoundError:
        raise UsageError(f"{label}: the repo has no such revision") from None
    except errors.RepositoryNotFoundError:
        nearest = named_elsewhere(repo) or (nearest_name(repo, [row.spec for row in STUDY]),)
        hint = f"; {question}" if (question := did_you_mean(*nearest)) else ""
        raise UsageError(f"{label}: no such model on the Hub, or no access (then: hf auth login){hint}") from None
    except errors.HFValidationError:
        raise UsageError(f"{label} is not a name that the Hub can have") from None
    except errors.LocalEntryNotFoundError:
        raise EncoderError(
            f"{label}: the Hub cannot be reached, and neither the local cache nor a folder has this model"
        ) from None
    except errors.HfHubHTTPError as error:
        raise EncoderError(f"{label}: the Hub returned an error ({first_line(error)})") from None
    except Exception as error:  # disk full, broken connection in the middle, ...
        reason = client_message(error)
        kind = "" if reason != first_line(error) or isinstance(error, RemoteError) else f"{type(error).__name__}: "
        raise EncoderError(f"{label}: cannot be fetched ({kind}{reason})") from None


def _cached(repo: str, revision: str | None) -> Path:
    """The folder in the local cache, which need not hold the files that are never downloaded."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except errors.LocalEntryNotFoundError as error:
        if getattr(error, "snapshot_path", None) is None:
            raise
        return Path(error.snapshot_path)  # type: ignore[attr-defined]
