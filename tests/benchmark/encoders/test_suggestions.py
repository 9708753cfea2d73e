"""Which known name an unknown one means: words, digits and sizes, and the sentence about it."""

from __future__ import annotations

import pytest

from benchmark.encoders.suggestions import MOST, did_you_mean, nearest_name, unknown_model


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("resnet5o", "resnet50", "resnet50"),  # a letter for the digit
        ("resnet5O", "resnet50", "resnet50"),
        ("vit1ob", "vit10b", None),  # before another letter it is one
        ("resnet55", "resnet50", None),  # a digit counts as often as it stands there
        ("resnet", "resnet50", "resnet50"),  # what is shortened lacks some
        ("resnet05", "resnet50", "resnet50"),
        ("dino-vits16", "dino-vitb16", None),  # four letters are a size
        ("tiny", "tinx", None),
        ("large", "larce", "larce"),  # five may be misspelt
        ("ResNet50", "resnet50", "resnet50"),
        ("resnet50", "RESNET50", None),  # too far by its letters
        ("vit-l-14", "ViT-L-14", "ViT-L-14"),
        ("net-net", "net", None),  # a word of the known name is one word
        ("resnet-resnet", "resnet-base", None),
        ("resnet-resnet", "resnet-resnets", "resnet-resnets"),
        ("base-vit-base", "vit-base-base", "vit-base-base"),
        ("base-vit-base", "vit-base", None),
        ("vit_base", "base_vit", "base_vit"),  # in any order
        ("vit", "vit_base_patch16_clip_224_openai", None),  # too short to mean it
    ],
)
def test_nearest_name__same_words_and_digits(name: str, known: str, near: str | None) -> None:
    assert nearest_name(name, [known]) == near
    assert nearest_name(name, ["something-else-9", known]) == near


def test_nearest_name__of_several_the_most_similar() -> None:
    known = ["openai/clip-vit-large-patch14-336", "openai/clip-vit-large-patch14", "openai/clip-vit-base-patch16"]
    assert nearest_name("clip-vit-large-patch14", known) == "openai/clip-vit-large-patch14"
    assert nearest_name("clip-vit-large-patch14-336", known) == "openai/clip-vit-large-patch14-336"
    assert nearest_name("clip-vit-patch", known) == "openai/clip-vit-base-patch16"
    assert nearest_name("clip-vit-huge", known) is None
    assert nearest_name("clip", []) is None


@pytest.mark.parametrize(
    ("count", "end"),
    [
        (0, "LIST lists them"),
        (1, "known: n00"),
        (MOST, f"known: {', '.join(f'n{i:02d}' for i in range(MOST))}"),
        (MOST + 1, "LIST lists them"),
    ],
)
def test_unknown_model__names_up_to_thirty(count: int, end: str) -> None:
    names = [f"n{i:02d}" for i in reversed(range(count))]
    assert str(unknown_model("model", "zzz", names, "LIST")) == f"unknown model 'zzz': {end}"
    assert MOST == 30


def test_did_you_mean__of_what_there_is() -> None:
    assert did_you_mean("a", None, "b", "") == "did you mean 'a' or 'b'?"
    assert did_you_mean() == did_you_mean(None, "") == ""
