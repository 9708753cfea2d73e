"""Is the preprocessing of ``bundled:efficientnet-lite0`` right? ImageNet top-1 of its classifier under several guesses.

    python scripts/imagenet_top1.py FOLDER

FOLDER holds ImageNet photos whose file name, or whose folder's name, starts with a WordNet id (``n01491361...``).
The right mean and standard deviation stand out by ten points; the crop by one or two.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timm.data import ImageNetInfo

from benchmark.encoders.loaders.bundled import LITE0_MEAN, LITE0_PIXELS, LITE0_STD, load_lite0_classifier
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, ResizeShort, ResizeTo
from builders.pixels.decode import decode_rgb

BICUBIC = Image.Resampling.BICUBIC
PIXELS = {
    "the encoder's own": LITE0_PIXELS,
    "256, crop 224": Pixels((ResizeShort(256, BICUBIC), CenterCrop(224, 224))),
    "224, crop 224": Pixels((ResizeShort(224, BICUBIC), CenterCrop(224, 224))),
    "squashed to 224": Pixels((ResizeTo(224, 224, BICUBIC),)),
}
SCALES = {
    "the encoder's own": (LITE0_MEAN, LITE0_STD),
    "mean = std = 0.5": ((0.5,) * 3, (0.5,) * 3),
    "ImageNet's": (IMAGENET_MEAN, IMAGENET_STD),
    "pixels in [0, 1]": ((0.0,) * 3, (1.0,) * 3),
}


def main(folder: Path) -> int:
    """Print one line per guess: top-1, top-5 and negative log-likelihood."""
    classes = {name: index for index, name in enumerate(ImageNetInfo().label_names())}
    found = [(p, _wordnet_id(p.relative_to(folder))) for p in sorted(folder.rglob("*")) if p.is_file()]
    photos = [(decode_rgb(path.read_bytes()), classes[synset]) for path, synset in found if synset in classes]
    if not photos:
        print(f"{folder}: no file whose name or folder starts with a WordNet id of ImageNet-1k", file=sys.stderr)
        return 2
    labels = torch.tensor([label for _, label in photos])
    classifier = load_lite0_classifier()
    print(f"{len(photos)} photos\n{'pixels':20} {'scale':20} top-1 %  top-5 %   nll")
    for pixels_name, pixels in PIXELS.items():
        views = torch.from_numpy(np.stack([pixels(photo) for photo, _ in photos])).permute(0, 3, 1, 2)
        for scale_name, (mean, std) in SCALES.items():
            logits = _logits(classifier, views, torch.tensor(mean), torch.tensor(std))
            top = logits.topk(5).indices == labels[:, None]
            nll = float(torch.nn.functional.cross_entropy(logits, labels))
            shares = [100 * float(hits.any(1).float().mean()) for hits in (top[:, :1], top)]
            print(f"{pixels_name:20} {scale_name:20} {shares[0]:7.1f} {shares[1]:8.1f} {nll:6.3f}", flush=True)
    return 0


def _logits(
    classifier: Callable[[torch.Tensor], torch.Tensor], views: torch.Tensor, mean: torch.Tensor, std: torch.Tensor
) -> torch.Tensor:
    with torch.inference_mode():
        scaled = ((v / 255 - mean[:, None, None]) / std[:, None, None] for v in views.split(16))
        return torch.cat([classifier(batch) for batch in scaled])


def _wordnet_id(path: Path) -> str | None:
    for part in reversed(path.parts):
        if match := re.match(r"n\d{8}", part):
            return match.group()
    return None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    raise SystemExit(main(Path(sys.argv[1])))
