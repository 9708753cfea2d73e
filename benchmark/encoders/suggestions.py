"""Suggestions after an unknown name of a model: a name of the same family, size and version, or none."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from builders.errors import UsageError

ALIKE = 0.75
"""Least similarity (``difflib``'s ratio) of a long word to the word that was meant."""

SHORT = 4
"""Words of up to so many letters must be equal: ``vits`` and ``vitb``, ``tiny`` and ``base`` are sizes."""

MOST = 30
"""Largest number of names that a message lists."""

OTHER_NAMES: Mapping[str, str] = {
    **{
        f"dinov2_vit{letter}14{suffix}": f"facebook/dinov2{registers}-{size}"
        for letter, size in (("s", "small"), ("b", "base"), ("l", "large"), ("g", "giant"))
        for suffix, registers in (("", ""), ("_reg", "-with-registers"))
    },
    **{f"dino_vit{letter}{patch}": f"facebook/dino-vit{letter}{patch}" for letter in "sb" for patch in (8, 16)},
    "dino_resnet50": "checkpoint:dino-resnet50",
    **{
        f"dinov3_vit{letter}16": f"timm/vit_{size}_patch16_dinov3.lvd1689m"
        for letter, size in (("s", "small"), ("b", "base"), ("l", "large"))
    },
    **{
        name: f"open_clip:{name.replace('/', '-')}/openai"
        for name in ("RN50", "RN101", "RN50x4", "RN50x16", "RN50x64", "ViT-B/32", "ViT-B/16", "ViT-L/14")
    },
}
"""Names of the authors' own code (``torch.hub``, the package ``clip``) -> the same weights for ``--model``."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt or shortened one means; None where none has the same family, size and version.

    Each word of the name must be a word of the known one, long words with a misspelling, and its digits must be there.

    >>> nearest_name("clip-vit-base-patch61", ["openai/clip-vit-base-patch16", "openai/clip-vit-large-patch14"])
    'openai/clip-vit-base-patch16'
    >>> nearest_name("resnet18", ["resnet50"]), nearest_name("dino-vits16", ["dino-vitb16"])
    (None, None)
    """
    meant = [other for other in known if _same_kind(name, other)]
    ratio = {other: difflib.SequenceMatcher(None, other, name).ratio() for other in meant}
    return max((other for other in sorted(ratio) if ratio[other] >= 0.4), key=ratio.__getitem__, default=None)


def named_elsewhere(name: str) -> tuple[str, ...]:
    """Specifications of the model that has a name in a library or in its authors' code; empty if there is none.

    Args:
        name: without a prefix, such as ``resnet18`` or ``dinov2_vits14``.

    >>> named_elsewhere("dinov2_vits14")
    ('facebook/dinov2-small',)
    """
    if name in OTHER_NAMES:
        return (OTHER_NAMES[name],)
    if not re.fullmatch(r"[\w.-]+", name):
        return ()
    spellings = dict.fromkeys((name, name.replace("-", "_"), name.replace("-", "")))
    return next(filter(None, map(_in_libraries, spellings)), ())


def _in_libraries(name: str) -> tuple[str, ...]:
    specs = []
    try:
        from timm.models import is_model_pretrained

        specs += [f"timm:{name}"] if is_model_pretrained(name) else []
    except ImportError:
        pass
    try:
        import torchvision
        from torchvision.models import list_models

        specs += [f"torchvision:{name}"] if name in list_models(module=torchvision.models) else []
    except ImportError:
        pass
    return tuple(specs)


def unknown_model(kind: str, name: str, known: Iterable[str], where: str) -> UsageError:
    """The error of an unknown name of a model.

    Args:
        kind: of the name, for the message.
        name: as given.
        known: names of this kind.
        where: what lists them, for the message where there are too many.

    >>> str(unknown_model("timm model", "resnet81", ["resnet18", "resnet34"], "timm.list_models()"))
    "unknown timm model 'resnet81': did you mean 'resnet18'?"
    >>> str(unknown_model("encoder", "bundled:phash", ["bundled:imgsim", "control:phash"], "list encoders"))
    "unknown encoder 'bundled:phash': did you mean 'control:phash'?"
    """
    names = sorted(known)
    of_kind = name.partition(":")[2]
    near = nearest_name(name, names) or next((n for n in names if of_kind and n.partition(":")[2] == of_kind), None)
    known_names = f"known: {', '.join(names)}" if 0 < len(names) <= MOST else f"{where} lists them"
    return UsageError(f"unknown {kind} {name!r}: {did_you_mean(near) or known_names}")


def did_you_mean(*specs: str | None) -> str:
    """The question after an unknown name; empty without a suggestion.

    >>> did_you_mean("timm:resnet18", "torchvision:resnet18"), did_you_mean(None)
    ("did you mean 'timm:resnet18' or 'torchvision:resnet18'?", '')
    """
    named = " or ".join(repr(spec) for spec in specs if spec)
    return f"did you mean {named}?" if named else ""


def _same_kind(name: str, other: str) -> bool:
    name = re.sub(r"(?<=\d)[oO](?![a-zA-Z])", "0", name)  # a letter for the digit
    if Counter(re.findall(r"\d", name)) - Counter(re.findall(r"\d", other)):
        return False
    words = re.findall(r"[^\W\d_]+", other.lower())
    for word in re.findall(r"[^\W\d_]+", name.lower()):
        near = difflib.get_close_matches(word, words, n=1, cutoff=ALIKE if len(word) > SHORT else 1.0)
        if not near:
            return False
        words.remove(near[0])
    return True
