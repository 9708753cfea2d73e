"""Whole sentences about weights that are not read, about the Hub, and about models of timm and torchvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub import errors

from benchmark.encoders.loaders import hub
from benchmark.encoders.loaders.hub import fetch
from benchmark.encoders.loaders.libraries import load_timm, load_torchvision, timm_model
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


def http_error(kind: Any, text: str = "bad\nmore") -> Exception:
    return kind(text, response=httpx.Response(500, request=httpx.Request("GET", "http://hub")))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (http_error(errors.GatedRepoError), "EncoderError: a/b@v is gated: accept its terms on the Hub, then run: hf "
         "auth login"),
        (http_error(errors.RevisionNotFoundError), "UsageError: a/b@v: the repo has no such revision"),
        (http_error(errors.RepositoryNotFoundError), "UsageError: a/b@v: no such model on the Hub, or no access (then: "
         "hf auth login)"),
        (http_error(errors.HfHubHTTPError), "EncoderError: a/b@v: the Hub returned an error (bad)"),
        (errors.LocalEntryNotFoundError("x"), "EncoderError: a/b@v: the Hub cannot be reached and the model is not in "
         "the local cache"),
    ],
)  # fmt: skip
def test_fetch__errors_of_the_hub(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [SimpleNamespace(rfilename="model.safetensors")]
    info = SimpleNamespace(siblings=names, library_name=None, sha="c")

    def fails(*_: Any, **__: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)
        patch.setattr(huggingface_hub, "snapshot_download", fails)
        assert refusal(fetch, "a/b", "v") == message


def test_fetch__names_near_one_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise http_error(errors.RepositoryNotFoundError)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fails)
    missing = "no such model on the Hub, or no access (then: hf auth login)"
    assert refusal(fetch, "openai/clip-vit-base-patch61", None) == (
        f"UsageError: openai/clip-vit-base-patch61: {missing}; did you mean 'openai/clip-vit-base-patch16'?"
    )
    assert refusal(fetch, "dinov2_vits14", None) == (
        f"UsageError: dinov2_vits14: {missing}; did you mean 'facebook/dinov2-small'?"
    )
    assert (hub.LARGEST_DESCRIPTION, hub.WEIGHTS_SUFFIXES) == (256 * 2**20, (".safetensors", ".bin", ".pth", ".pt"))


def test_libraries__names_channels_and_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(load_timm, LoadRequest("timm:resnet81")).startswith(
        "UsageError: unknown timm model 'resnet81': did you mean 'resnet18."
    )
    import timm
    import torchvision

    model = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    for channels, words in ((1, "1 channel"), (4, "4 channels")):
        assert refusal(timm_model, "mine", model, input_size=(channels, 9, 9)) == (
            f"UsageError: mine reads pictures of {words}, and photos have three; score it as Python, which makes them: "
            "--model MODULE:FUNCTION"
        )

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no route\nmore")

    monkeypatch.setattr(torchvision.models, "get_model", fails)
    assert refusal(load_torchvision, LoadRequest("torchvision:resnet18", "cpu")) == (
        "EncoderError: torchvision:resnet18/IMAGENET1K_V1: its weights cannot be fetched (OSError: no route)"
    )


def test_load_files__a_part_of_a_checkpoint_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    assert refusal(hub.load_files, hub.Checkpoint("mine", tmp_path, None), LoadRequest("x")) == (
        "EncoderError: mine: 1 of its 1 parts are missing (gone.safetensors): copy them into the same folder"
    )
