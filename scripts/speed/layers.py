"""What all layers of a network cost beside its embedding: processor time of the pass, and bytes a view.

    python scripts/speed_layers.py [--rounds 5] [--views 8] [--threads 1] [--outputs layers] [--models resnet50]

ResNet-50 and ViT-B/16 of timm with random weights, in float32 by torch. A round measures the embedding alone and all
layers, one after the other; the ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import timm
import torch

from benchmark.encoders import Encoder, with_outputs
from benchmark.encoders.embedding import Network, Normalisation, network_encoder, probe_image
from benchmark.encoders.placement import Placement
from benchmark.encoders.timm_models import _features

MODELS = ("resnet50", "vit_base_patch16_224")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--views", type=int, default=8)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--outputs", action="append")
    p.add_argument("--models", nargs="+", default=MODELS, help="architectures of timm")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    outputs = args.outputs or ["layers"]
    print(f"{', '.join(outputs)}; {args.views} views, {args.threads} thread(s), torch {torch.__version__}")
    for name in args.models:
        encoder = random_encoder(name)
        layered = with_outputs(encoder, outputs)
        batch = torch.from_numpy(np.stack([encoder.preprocess(probe_image())] * args.views))
        seconds = [(spent(layered.encoder, batch), spent(layered.together, batch)) for _ in range(args.rounds + 1)][1:]
        ratio = statistics.median(all_ / alone for alone, all_ in seconds)
        alone, all_ = (1000 * statistics.median(times) / args.views for times in zip(*seconds, strict=True))
        numbers, own = layered.together.info.dimension, encoder.info.dimension
        print(
            f"{name}: embedding alone {alone:.1f} ms a view, {len(layered.outputs)} outputs more {all_:.1f} ms: "
            f"{ratio:.3f} times; {4 * own} bytes a view alone, {4 * numbers} with them"
        )


def random_encoder(name: str) -> Encoder:
    """A timm architecture with seeded weights."""
    torch.manual_seed(0)
    network = Network(
        name=f"random:{name}",
        library="timm",
        module=timm.create_model(name, pretrained=False, num_classes=0),
        preprocess=_pixels,
        preprocessing={},
        normalise=Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        forward=_features,
        pooling="",
        weights_sha256=None,
    )
    return network_encoder(network, Placement("cpu", "float32"))


def spent(encoder: Encoder, batch: torch.Tensor) -> float:
    """Processor seconds of one pass."""
    started = time.process_time()
    encoder.embed(batch)
    return time.process_time() - started


def _pixels(image: Any) -> np.ndarray:
    return np.asarray(image.resize((224, 224)))


if __name__ == "__main__":
    main()
