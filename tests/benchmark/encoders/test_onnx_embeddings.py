"""``onnx:PATH``: which numbers of a graph are the embedding. Each is right to the network in torch, or refused."""

import re
import warnings

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from benchmark.encoders import load_encoder
from builders.errors import CamtraceError, EncoderError, UsageError

pytestmark = pytest.mark.usefixtures("unpainted", "brief")

PLAIN = "mean=0&std=1"


def export(network, path, side=32, sides="fixed", outputs=("y",), channels_last=False):
    """By torch; any number of views."""
    axes = {"x": {0: "n"}, **{name: {0: "n"} for name in outputs}}
    if sides == "any":
        axes["x"].update({1: "h", 2: "w"} if channels_last else {2: "h", 3: "w"})
    picture = torch.zeros(2, side, side, 3) if channels_last else torch.zeros(2, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (picture,), str(path), dynamo=False, opset_version=17, input_names=["x"],
            output_names=list(outputs), dynamic_axes=axes,
        )  # fmt: skip
    return f"onnx:{path}?{PLAIN}" + ("&size=32" if sides == "any" else "")


def views(side=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, side, side, 3), dtype=np.uint8)


def by_torch(network, side=32):
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(views(side)).permute(0, 3, 1, 2).float() / 255).numpy()


def embedded(spec, side=32):
    return load_encoder(spec).embed(torch.from_numpy(views(side))).numpy()


class Through(nn.Module):
    """A network, and what is done to its output."""

    def __init__(self, network, change=lambda features: features, picture=lambda pixels: pixels):
        super().__init__()
        self.network, self.change, self.picture = network, change, picture

    def forward(self, pixels):
        return self.change(self.network(self.picture(pixels)))


def of_timm(name, **options):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=0, **options).eval().requires_grad_(False)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    network.forward = network.forward_features
    return network


def convolutions(channels=20, side=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, side, side), nn.GELU(), nn.Conv2d(8, channels, 3, padding=1), nn.ReLU())


LAYOUTS = {
    "n c h w": lambda maps: maps,
    "n h w c": lambda maps: maps.permute(0, 2, 3, 1),
    "n c t": lambda maps: maps.flatten(2),
    "n t c": lambda maps: maps.flatten(2).transpose(1, 2),
}


@pytest.mark.parametrize("sides", ["fixed", "any"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("channels", "side"), [(20, 4)])
def test_maps_and_tokens__are_averaged_over_positions(tmp_path, layout, sides, channels, side):
    """64 channels stand beside 64 positions, which no shape tells apart."""
    network = convolutions(channels, side)
    spec = export(Through(network, LAYOUTS[layout]), tmp_path / "a.onnx", sides=sides)
    np.testing.assert_allclose(embedded(spec), by_torch(network).mean((2, 3)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", ["n c h w", "n h w c"])
def test_layouts_of_tf2onnx__pictures_channels_last(tmp_path, layout):
    network = convolutions()
    through = Through(network, LAYOUTS[layout], lambda pixels: pixels.permute(0, 3, 1, 2))
    spec = export(through, tmp_path / "a.onnx", channels_last=True)
    np.testing.assert_allclose(embedded(spec), by_torch(network).mean((2, 3)), rtol=1e-5, atol=1e-6)


VIT = {"patch_size": 4, "embed_dim": 64, "depth": 2, "num_heads": 2, "img_size": 32}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vit_tiny_patch16_224", {**VIT, "class_token": False, "global_pool": "avg"}),  # as many tokens as channels
        ("vit_tiny_patch16_224", VIT),
        ("mixer_s32_224", {"img_size": 256}),
        ("resmlp_12_224", {"img_size": 128}),
        ("swin_tiny_patch4_window7_224", {"window_size": 4, "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 2),
         "img_size": 32}),
        ("test_convnext", {}),
        ("test_efficientnet", {}),
    ],
)  # fmt: skip
def test_networks_of_timm__by_their_graphs(tmp_path, name, options):
    """As they are, or with their channels on another axis: of a network of tokens and of one of maps, each way."""
    transposed = name in ("mixer_s32_224", "test_convnext")
    network = of_timm(name, **options)
    side = options.get("img_size", 32)
    features = by_torch(network, side)
    axis = 1 if features.ndim == 4 and name.startswith("test_") else features.ndim - 1
    change = (lambda y: y.movedim(axis, 1 if axis > 1 else -1)) if transposed else (lambda y: y)
    spec = export(Through(network, change), tmp_path / "a.onnx", side)
    expected = np.moveaxis(features, axis, -1).reshape(3, -1, features.shape[axis]).mean(1)
    np.testing.assert_allclose(embedded(spec, side), expected, rtol=1e-4, atol=1e-5)


def test_pooling_first__the_first_token_wherever_the_channels_are(tmp_path):
    network = of_timm("vit_tiny_patch16_224", **VIT)
    spec = export(Through(network, lambda y: y.transpose(1, 2)), tmp_path / "a.onnx")
    np.testing.assert_allclose(embedded(f"{spec}&pooling=first"), by_torch(network)[:, 0], rtol=1e-4, atol=1e-5)


def attention(pixels):
    """[n, t, t]: each token's weights, of which no axis is channels."""
    tokens = nn.functional.avg_pool2d(pixels, 4).flatten(2)
    return tokens.transpose(1, 2) @ tokens


def test_channels__are_asked_for_where_nothing_shows_them(tmp_path):
    network = Through(nn.Identity(), attention)
    spec = export(network, tmp_path / "a.onnx")
    with pytest.raises(UsageError, match="channels=first"):
        load_encoder(spec)
    expected = by_torch(network)
    np.testing.assert_allclose(embedded(f"{spec}&channels=first"), expected.mean(2), rtol=1e-4)
    np.testing.assert_allclose(embedded(f"{spec}&channels=last"), expected.mean(1), rtol=1e-4)


class Classifier(nn.Module):
    """A network with a head; ``vector`` is what a user means."""

    def __init__(self, head, classes=24):
        super().__init__()
        self.body, self.fc, self.head = convolutions(), nn.Linear(20, classes), head

    def vector(self, pixels):
        return self.body(pixels).mean((2, 3))

    def forward(self, pixels):
        return self.head(self.fc(self.vector(pixels)))


class Detector(nn.Module):
    """Boxes and scores of 64 anchors, from maps."""

    def __init__(self, form):
        super().__init__()
        self.body, self.boxes, self.classes, self.form = convolutions(), nn.Conv2d(20, 4, 1), nn.Conv2d(20, 24, 1), form

    def vector(self, pixels):
        return self.body(pixels).mean((2, 3))

    def forward(self, pixels):
        maps = self.body(pixels)
        return self.form(self.boxes(maps).flatten(2), self.classes(maps).flatten(2))


NO_EMBEDDINGS = {
    "softmax": (Classifier(lambda y: y.softmax(1)), ("y",)),
    "logarithm of softmax": (Classifier(lambda y: y.log_softmax(1)), ("y",)),
    "sigmoid": (Classifier(torch.sigmoid), ("y",)),
    "softmax by its parts": (Classifier(lambda y: y.exp() / y.exp().sum(1, keepdim=True)), ("y",)),
    "softmax in percent": (Classifier(lambda y: y.softmax(1) * 100), ("y",)),
    "four numbers": (Classifier(lambda y: y, 4), ("y",)),
    "one number": (Classifier(lambda y: y, 1), ("y",)),
    "YOLO": (Detector(lambda b, c: torch.cat([b, c.sigmoid()], 1)), ("y",)),
    "YOLO, transposed": (Detector(lambda b, c: torch.cat([b, c.sigmoid()], 1).transpose(1, 2)), ("y",)),
    "DETR": (Detector(lambda b, c: (c.transpose(1, 2), b.transpose(1, 2))), ("logits", "pred_boxes")),
    "YOLOX before its sigmoid": (Detector(lambda b, c: c.transpose(1, 2)), ("y",)),
    "boxes without that name": (Detector(lambda b, c: (c.transpose(1, 2), b)), ("conf", "loc")),
    "classes of each pixel": (
        Detector(lambda b, c: nn.functional.interpolate(c.unflatten(2, (8, 8)), (32, 32), mode="bilinear")), ("y",),
    ),
    "a map of classes": (Detector(lambda b, c: c.unflatten(2, (8, 8))), ("y",)),
    "maps at two sides": (Through(convolutions(), lambda y: (y, y[:, :, ::2, ::2])), ("p3", "p4")),
}  # fmt: skip


@pytest.mark.parametrize("name", list(NO_EMBEDDINGS)[::2])
def test_no_embedding__is_refused_with_a_tensor_that_is_one(tmp_path, name):
    network, outputs = NO_EMBEDDINGS[name]
    spec = export(network, tmp_path / "a.onnx", outputs=outputs)
    with pytest.raises(EncoderError, match=r"\?output=") as refused:
        load_encoder(spec)
    [tensor, *_] = re.findall(r"(\S+) \[1, ", str(refused.value).partition("?output=TENSOR: ")[2])
    encoder = load_encoder(f"{spec}&output={tensor}")
    assert encoder.info.dimension in (20, 24)
    if name.startswith(("softmax", "sigmoid", "four")) and encoder.info.dimension == 20:
        expected = by_torch(Through(nn.Identity(), network.vector))
        np.testing.assert_allclose(encoder.embed(torch.from_numpy(views())).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_output__any_inner_tensor_by_name(tmp_path):
    network, _ = NO_EMBEDDINGS["softmax"]
    spec = export(network, tmp_path / "a.onnx")
    [mean] = [node.output[0] for node in onnx.load(tmp_path / "a.onnx").graph.node if "Mean" in node.op_type]
    expected = by_torch(Through(nn.Identity(), network.vector))
    np.testing.assert_allclose(embedded(f"{spec}&output={mean}"), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(UsageError, match=re.escape(repr(mean))):
        load_encoder(f"{spec}&output={mean[:-1]}")


def by_hand(path, nodes, tensors=(), inputs=(("x", TensorProto.FLOAT, ["n", 3, 8, 8]),), outputs=("y",)):
    """A graph of nodes; the shapes of its outputs are not declared."""
    made = [helper.make_tensor_value_info(*each) for each in inputs]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(tensors).items()]
    graph = helper.make_graph(nodes, "by hand", made, ends, constants)
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return f"onnx:{path}?{PLAIN}"


FLATTENED = helper.make_node("Flatten", ["x"], ["flat"])


LESS_MEAN = [helper.make_node("ReduceMean", ["flat"], ["m"], axes=[0]), helper.make_node("Sub", ["flat", "m"], ["y"])]
RANDOM = [helper.make_node("RandomNormalLike", ["flat"], ["r"]), helper.make_node("Add", ["flat", "r"], ["y"])]


@pytest.mark.parametrize(("nodes", "count"), [(LESS_MEAN, "n"), (LESS_MEAN, 4), (RANDOM, "n"), (RANDOM, 1)])
def test_alone_and_in_a_batch__are_equal_or_refused(tmp_path, nodes, count):
    picture = ("x", TensorProto.FLOAT, [count, 3, 8, 8])
    with pytest.raises(EncoderError, match="alone"):
        load_encoder(by_hand(tmp_path / "a.onnx", [FLATTENED, *nodes], inputs=[picture]))


def test_batch__of_one_though_the_file_says_any(tmp_path):
    spec = by_hand(tmp_path / "a.onnx", [helper.make_node("Reshape", ["x", "s"], ["y"])], {"s": np.array([1, 192])})
    expected = views(8).transpose(0, 3, 1, 2).reshape(3, -1) / 255
    np.testing.assert_allclose(embedded(spec, 8), expected, rtol=1e-5)


def test_loop__without_end_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.encoders.loaders.onnx.file.LOOP_S", 0.2)
    info = helper.make_tensor_value_info
    same = [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["a"], ["b"])]
    body = helper.make_graph(
        same, "body", [info("i", 7, []), info("go", 9, []), info("a", 1, None)], [info("on", 9, []), info("b", 1, None)]
    )
    loop = helper.make_node("Loop", ["", "go_on", "flat"], ["y"], body=body)
    spec = by_hand(tmp_path / "a.onnx", [FLATTENED, loop], {"go_on": np.array(True)})
    with pytest.raises(EncoderError, match="loop"):
        load_encoder(spec)


def test_two_towers__the_one_of_pictures_by_its_output(tmp_path):
    """As optimum exports CLIP: the first output compares pictures and texts."""
    table = np.random.default_rng(0).normal(size=(50, 192)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["pixel_values"], ["image_embeds"]),
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("ReduceMean", ["words"], ["text_embeds"], axes=[1], keepdims=0),
        helper.make_node("Transpose", ["text_embeds"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["image_embeds", "turned"], ["logits_per_image"]),
    ]
    inputs = [("input_ids", TensorProto.INT64, ["n", 7]), ("pixel_values", TensorProto.FLOAT, ["n", 3, 8, 8])]
    outputs = ("logits_per_image", "text_embeds", "image_embeds")
    spec = by_hand(tmp_path / "a.onnx", nodes, {"table": table}, inputs, outputs)
    for query in ("", "&output=text_embeds"):
        with pytest.raises(CamtraceError, match="image_embeds"):
            load_encoder(spec + query)
    expected = views(8).transpose(0, 3, 1, 2).reshape(3, -1) / 255
    np.testing.assert_allclose(embedded(f"{spec}&output=image_embeds", 8), expected, rtol=1e-5)
