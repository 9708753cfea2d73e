"""What all layers of a network cost in addition to its embedding: processor time of the pass, and bytes a view.

ResNet-50 and ViT-B/16 of timm with random weights, in float32 by torch. A round measures the embedding alone and all
layers, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import timm
import torch

from benchmark.encoders import Encoder, with_outputs
from benchmark.encoders.loaders.library_model import pooled_output
from benchmark.encoders.network import Network, Normalisation, network_encoder, probe_image
from benchmark.encoders.placement import Placement
from scripts.speed.measure import Row, interleaved, thread_count


def rows(
    quick: bool = False,
    *,
    rounds: int = 5,
    views: int = 8,
    threads: int = 1,
    outputs: Sequence[str] = ("layers",),
    models: Sequence[str] = ("resnet50", "vit_base_patch16_224"),
) -> Iterator[Row]:
    """Three rows a model; ``models`` are architectures of timm."""
    rounds, views, models = (1, 2, ("test_vit",)) if quick else (rounds, views, models)
    with thread_count(threads):
        for name in models:
            encoder = random_encoder(name)
            layered = with_outputs(encoder, list(outputs))
            batch = torch.from_numpy(np.stack([encoder.preprocess(probe_image())] * views))
            work = {
                "alone": partial(layered.encoder.embed, batch),
                "with outputs": partial(layered.together.embed, batch),
            }
            times = interleaved(work, rounds, clock="processor")
            note = f"{', '.join(outputs)}: {len(layered.outputs)} outputs more; {views} views"
            ratio = times.ratio("with outputs", "alone")
            yield Row(f"{name}: with outputs", ratio, "of the embedding's time", rounds, threads=threads, note=note)
            for what in work:
                ms = 1000 * times.median(what) / views
                dimension = (encoder if what == "alone" else layered.together).info.dimension
                note = f"{4 * dimension} bytes a view"
                yield Row(f"  {name}: {what}", ms, "ms a view", rounds, threads=threads, note=note)


def random_encoder(name: str) -> Encoder:
    """A timm architecture with seeded weights."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False, num_classes=0)
    side = module.default_cfg["input_size"][-1]
    network = Network(
        name=f"random:{name}",
        library="timm",
        module=module,
        preprocess=partial(_pixels, side),
        preprocessing={},
        normalise=Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        forward=pooled_output,
        pooling="",
        weights_sha256=None,
    )
    return network_encoder(network, Placement("cpu", "float32"))


def _pixels(side: int, image: Any) -> np.ndarray:
    return np.asarray(image.resize((side, side)))
