"""The study's encoders that no library has: weights from their authors' servers, loaded into known architectures.

They are DINO's ResNet-50 (Caron et al., ICCV 2021) and MoCo v3 (Chen et al., ICCV 2021). A file is downloaded once, by
https, into torch's cache, and read with ``weights_only=True``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from benchmark.encoders.encoder import Encoder
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, ResizeShort, describe
from benchmark.encoders.provenance import STUDY
from benchmark.encoders.registry import NAMED, LoadRequest, Named
from builders.errors import EncoderError
from builders.untrusted import first_line, from_authors

if TYPE_CHECKING:
    from torch import nn

HOST = "https://dl.fbaipublicfiles.com"
"""Server of both projects' weights."""


@dataclass(frozen=True)
class CheckpointSource:
    """A file of weights and how to read it."""

    path: str
    """Path below ``HOST``."""
    architecture: str
    prefix: str
    """Prefix of the names of the encoder's tensors in the file; all others belong to training heads."""
    head: tuple[str, ...]
    """Prefixes of names, after ``prefix``, that belong to a training head."""
    resample: Image.Resampling
    """Filter of the authors' evaluation."""


SOURCES: Mapping[str, CheckpointSource] = {
    "checkpoint:dino-resnet50": CheckpointSource(
        "dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth", "resnet50", "", ("fc.",), Image.Resampling.BICUBIC
    ),
    "checkpoint:mocov3-resnet50": CheckpointSource(
        "moco-v3/r-50-1000ep/r-50-1000ep.pth.tar",
        "resnet50",
        "module.base_encoder.",
        ("fc.",),
        Image.Resampling.BILINEAR,
    ),
    "checkpoint:mocov3-vit-small": CheckpointSource(
        "moco-v3/vit-s-300ep/vit-s-300ep.pth.tar",
        "mocov3-vit-small",
        "module.base_encoder.",
        ("head.",),
        Image.Resampling.BILINEAR,
    ),
    "checkpoint:mocov3-vit-base": CheckpointSource(
        "moco-v3/vit-b-300ep/vit-b-300ep.pth.tar",
        "mocov3-vit-base",
        "module.base_encoder.",
        ("head.",),
        Image.Resampling.BILINEAR,
    ),
}
"""Sources by specification."""


def read_encoder(spec: str, file: Path) -> nn.Module:
    """The encoder of one of ``SOURCES``, a module float [n, 3, 224, 224] -> [n, dimension].

    Args:
        spec: a key of ``SOURCES``.
        file: of weights.

    Raises:
        EncoderError: the file cannot be read safely, or has other weights.
    """
    import torch

    from benchmark.encoders.admission.gate import load_exactly

    source = SOURCES[spec]
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, ...
        raise EncoderError(f"{spec}: {file.name} cannot be read ({first_line(error)})") from None
    content = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {
        name.removeprefix(source.prefix): tensor
        for name, tensor in content.items()
        if name.startswith(source.prefix) and not name.removeprefix(source.prefix).startswith(source.head)
    }
    module = _ARCHITECTURES[source.architecture]()
    load_exactly(spec, module, tensors)
    return module


def _load(request: LoadRequest) -> Encoder:
    from benchmark.encoders.network import Network, Normalisation, call_module, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    source = SOURCES[request.spec]
    pixels = Pixels((ResizeShort(256, source.resample), CenterCrop(224, 224, "round")))
    row = next(row for row in STUDY if row.spec == request.spec)
    return network_encoder(
        Network(
            name=request.spec,
            library="checkpoint",
            module=read_encoder(request.spec, _download(request.spec, source)),
            preprocess=pixels,
            preprocessing=describe(pixels, IMAGENET_MEAN, IMAGENET_STD, "pil"),
            normalise=Normalisation(IMAGENET_MEAN, IMAGENET_STD),
            forward=call_module,
            pooling="global average pooling"
            if source.architecture == "resnet50"
            else "class token after the last norm",
            stateless=True,
            group=row.group,
            training_data=row.training_data,
            details={"architecture": source.architecture, "url": f"{HOST}/{source.path}"},
        ),
        place,
    )


def _download(spec: str, source: CheckpointSource) -> Path:
    """The file in torch's cache, downloaded if it is not there (under a temporary name, then renamed)."""
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / source.path.rpartition("/")[2]
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with from_authors():
                torch.hub.download_url_to_file(f"{HOST}/{source.path}", str(file), progress=False)
        except Exception as error:  # URLError, HTTPError, OSError, RemoteError
            raise EncoderError(f"{spec}: {HOST}/{source.path} cannot be fetched ({first_line(error)})") from None
    return file


def _resnet50() -> nn.Module:
    from torch import nn
    from torchvision.models import resnet50

    module = resnet50(weights=None)
    module.fc = nn.Identity()
    return module


def _mocov3_vit(**size: Any) -> nn.Module:
    """MoCo v3's ViT: timm's, with fixed sine-cosine positions (from the file) and 12 heads, also in the small one."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(patch_size=16, depth=12, num_heads=12, num_classes=0, **size)


_ARCHITECTURES: Mapping[str, Callable[[], nn.Module]] = {
    "resnet50": _resnet50,
    "mocov3-vit-small": lambda: _mocov3_vit(embed_dim=384),
    "mocov3-vit-base": lambda: _mocov3_vit(embed_dim=768),
}

for _row in STUDY:
    if _row.spec in SOURCES:
        NAMED[_row.spec] = Named(_row, _load)
