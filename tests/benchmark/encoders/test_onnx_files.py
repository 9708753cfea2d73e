"""``onnx:PATH?...``: networks in files, against the same arithmetic by hand; files that are none or reach out."""

import hashlib
import os
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from torch import nn

from benchmark.cli.score import main
from benchmark.encoders import load_encoder
from benchmark.encoders.loaders.onnx.file import read_description
from benchmark.results import read_result
from builders.errors import CamtraceError, EncoderError, UsageError

pytestmark = pytest.mark.usefixtures("unpainted", "brief")


def model(nodes, inputs, outputs, tensors=(), path=None, **more) -> Path:
    """A file of one graph, of tensors by name."""
    initializers = [numpy_helper.from_array(array, name) for name, array in dict(tensors).items()]
    infos = [[helper.make_tensor_value_info(*info) for info in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "by hand", *infos, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **more)
    if path is not None:
        path.write_bytes(made.SerializeToString())
    return made


def averaging(path, **more):
    """Mean over the picture, times 2, six times: [n, 3, 8, 8] -> [n, 18]."""
    nodes = [*averages(), helper.make_node("Mul", ["m", "two"], ["y"])]
    inputs, outputs = [("x", TensorProto.FLOAT, ["n", 3, 8, 8])], [("y", TensorProto.FLOAT, ["n", 18])]
    return model(nodes, inputs, outputs, {"two": np.full(18, 2, np.float32)}, path, **more)


def averages(output="m", over=(2, 3)):
    """Mean colours, six times: [n, 3, h, w] -> [n, 18]."""
    mean = helper.make_node("ReduceMean", ["x"], ["colours"], axes=list(over), keepdims=0)
    return [mean, helper.make_node("Concat", ["colours"] * 6, [output], axis=1)]


def test_onnx__exported_by_torch_gives_what_torch_gives(tmp_path, photos, embed_photos, keeps_promises):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, 20, 2)).eval()
    file = tmp_path / "own network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {"pixels": {0: "n"}, "maps": {0: "n"}}
        torch.onnx.export(
            network, (torch.zeros(1, 3, 20, 16),), str(file), dynamo=False, opset_version=17,
            input_names=["pixels"], output_names=["maps"], dynamic_axes=axes,
        )  # fmt: skip
    encoder = load_encoder(f"onnx:{file}?mean=0.5,0.4,0.3&std=0.25&interpolation=bicubic&resize=24&group=SSL")
    keeps_promises(encoder)
    expected = []
    for photo in photos:
        width, height = photo.size
        scale = 24 / min(width, height)
        small = photo.resize((int(scale * width), int(scale * height)), Image.Resampling.BICUBIC)
        left, top = round((small.width - 16) / 2), round((small.height - 20) / 2)  # as torchvision crops
        crop = np.asarray(small.crop((left, top, left + 16, top + 20)), dtype=np.float32) / 255
        pixels = (crop - np.array([0.5, 0.4, 0.3], np.float32)) / np.float32(0.25)
        with torch.inference_mode():
            expected.append(network(torch.from_numpy(pixels).permute(2, 0, 1)[None]).mean((2, 3))[0].numpy())
    assert np.allclose(embed_photos(encoder, photos), expected, rtol=1e-5, atol=1e-6)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    info = encoder.info
    assert info.id == (f"onnx:own network.onnx@{sha256[:8]}?resize=24&mean=0.5,0.4,0.3&std=0.25&interpolation=bicubic")
    assert (info.library, info.weights_sha256, info.dimension, info.group) == ("onnx", sha256, 20, "SSL")
    assert info.pooling == "output maps, mean over its positions"
    assert info.details["producer"].startswith("pytorch")
    assert info.details["opset"] == {"ai.onnx": 17}
    assert info.parameters >= 3 * 8 * 16 + 8 + 8 * 20 * 4 + 20
    assert info.preprocessing["mean"] == [0.5, 0.4, 0.3]
    assert info.preprocessing["size"] == [20, 16]
    assert "assumed" not in info.preprocessing
    assert encoder.runtime.name == "onnxruntime"
    assert encoder.in_torch is None


def tokens(path, batch, kind, pooled_by="") -> str:
    """Rows of a picture of bytes as tokens, channels last: [n, 4, 6, 3] -> [n, 4, 18]."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["y"], ["highest"], axes=[1], keepdims=0),
    ]
    outputs = [("y", TensorProto.FLOAT, [batch, 4, 18]), ("highest", TensorProto.FLOAT, [batch, 18])]
    model(nodes, [("x", kind, [batch, 4, 6, 3])], outputs, {"shape": np.array([-1, 4, 18])}, path)
    return f"onnx:{path}{pooled_by}"


def test_onnx__bytes_channels_last_a_fixed_batch_and_tokens(tmp_path):
    views = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    rows = views.reshape(5, 4, 18).astype(np.float32)
    for batch in ("n", 1, 2):
        mean = load_encoder(tokens(tmp_path / "t.onnx", batch, TensorProto.UINT8, "?channels=last"))
        assert np.array_equal(mean.embed(torch.from_numpy(views)).numpy(), rows.mean(1))
        first = load_encoder(tokens(tmp_path / "t.onnx", batch, TensorProto.UINT8, "?pooling=first&channels=last"))
        assert np.array_equal(first.embed(torch.from_numpy(views)).numpy(), rows[:, 0])
        other = load_encoder(tokens(tmp_path / "t.onnx", batch, TensorProto.UINT8, "?output=highest"))
        assert np.array_equal(other.embed(torch.from_numpy(views)).numpy(), rows.max(1))
    assert (mean.info.pooling, first.info.pooling) == ("output y, mean of its tokens", "output y, first of its tokens")
    assert other.info.pooling == "output highest, as it is"
    halves = load_encoder(tokens(tmp_path / "h.onnx", "n", TensorProto.FLOAT16, "?mean=0&std=1&channels=last"))
    expected = (views.reshape(5, 4, 18) / np.float32(255)).astype(np.float16).astype(np.float32).mean(1)
    assert np.allclose(halves.embed(torch.from_numpy(views)).numpy(), expected, atol=1e-6)


def test_onnx__what_is_not_declared_is_reported(tmp_path):
    averaging(tmp_path / "a.onnx", producer_name="me", producer_version="3")
    encoder = load_encoder(f"onnx:{tmp_path}/a.onnx?std=0.5")
    [notice] = encoder.notices
    assert "mean not given" in notice
    assert "mean 0.485, 0.456, 0.406, std 0.5, 0.5, 0.5" in notice
    assert encoder.info.preprocessing["assumed"] == ["mean"]
    assert encoder.info.preprocessing["mean"] == [0.485, 0.456, 0.406]
    assert encoder.info.details["producer"] == "me 3"
    assert encoder.info.parameters == 18
    grey = torch.full((1, 8, 8, 3), 51, dtype=torch.uint8)
    expected = np.tile(2 * (0.2 - np.array([0.485, 0.456, 0.406])) / 0.5, 6)
    assert encoder.embed(grey).numpy()[0] == pytest.approx(expected, rel=1e-5)


def with_external_weights(folder: Path, location: str) -> Path:
    """The averaging network with its numbers in another file."""
    made = averaging(None)
    [two] = made.graph.initializer
    two.ClearField("raw_data")
    two.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "72")):
        two.external_data.add(key=key, value=value)
    (folder / "b.onnx").write_bytes(made.SerializeToString())
    return folder / "b.onnx"


def test_onnx__weights_next_to_it_count_and_stay_in_its_folder(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    numbers = np.full(18, 7, "<f4").tobytes()
    (inside / "weights.bin").write_bytes(numbers)
    (tmp_path / "secret.bin").write_bytes(numbers)
    spec = f"onnx:{with_external_weights(inside, 'weights.bin')}?mean=0&std=1"
    encoder = load_encoder(spec)
    white = torch.full((1, 8, 8, 3), 255, dtype=torch.uint8)
    assert encoder.embed(white)[0].tolist() == [7] * 18
    assert encoder.info.details["weights_beside"] == ["weights.bin"]
    own_sha256 = hashlib.sha256((inside / "b.onnx").read_bytes() + b"\0weights.bin\0" + numbers).hexdigest()
    assert encoder.info.weights_sha256 == own_sha256
    (inside / "weights.bin").write_bytes(np.full(18, 8, "<f4").tobytes())
    assert load_encoder(spec).info.weights_sha256 != own_sha256
    with_external_weights(inside, "../secret.bin")
    with pytest.raises(EncoderError, match="onnx:b"):
        load_encoder(spec)
    with_external_weights(inside, str(tmp_path / "secret.bin"))
    with pytest.raises(EncoderError, match="leaves the folder"):
        load_encoder(spec)
    os.symlink(tmp_path / "secret.bin", inside / "link.bin")
    with_external_weights(inside, "link.bin")
    with pytest.raises(EncoderError, match="leaves the folder"):
        load_encoder(spec)
    with_external_weights(inside, "absent.bin")
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder(spec)


def test_description__files_of_weights_by_name_whatever_their_order_in_the_graph(tmp_path):
    """Each counts once: with its name and its bytes."""
    names = [f"{letter}.bin" for letter in "hbgafced"]
    tensors = []
    for name in (*names, names[0]):
        tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=name)
        tensors.append(tensor)
        (tmp_path / name).write_bytes(name[:1].encode() * 8)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["x"])], "g", [value], [value])
    graph.initializer.extend(tensors)
    (tmp_path / "a.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    description = read_description(tmp_path / "a.onnx", "onnx:a")
    digest = hashlib.sha256((tmp_path / "a.onnx").read_bytes())
    for name in sorted(names):
        digest.update(b"\0" + name.encode() + b"\0" + name[:1].encode() * 8)
    assert description.sha256 == digest.hexdigest()
    assert description.details["weights_beside"] == sorted(names)
    assert description.parameters == 18


def test_onnx__weights_of_an_inner_graph_reach_out_no_further(tmp_path):
    constant = onnx.TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    constant.external_data.add(key="location", value="../../etc/hostname")
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("c", 1, [3])])
    inner.initializer.append(constant)
    node = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    model([node], [("x", 1, ["n", 3, 8, 8])], [("y", 1, [3])], {"yes": np.array(True)}, tmp_path / "i.onnx")
    with pytest.raises(EncoderError, match="leaves the folder"):
        load_encoder(f"onnx:{tmp_path}/i.onnx?mean=0&std=1")


def two_inputs(path):
    nodes = [helper.make_node("Add", ["x", "z"], ["y"])]
    model(nodes, [("x", 1, ["n", 3, 8, 8]), ("z", 1, ["n", 3, 8, 8])], [("y", 1, ["n", 3, 8, 8])], {}, path)


def of_text(path):
    model([helper.make_node("Identity", ["x"], ["y"])], [("x", 7, ["n", 77])], [("y", 7, ["n", 77])], {}, path)


def of_classes(path):
    nodes = [helper.make_node("ArgMax", ["x"], ["y"], axis=1)]
    model(nodes, [("x", 1, ["n", 3, 8, 8])], [("y", 7, ["n", 1, 8, 8])], {}, path)


def of_one_vector(path):
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[0, 2, 3], keepdims=0)]
    model(nodes, [("x", 1, ["n", 3, 8, 8])], [("y", 1, [3])], {}, path)


def of_unknown_nodes(path):
    nodes = [helper.make_node("Beautify", ["x"], ["y"], domain="some.body")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("some.body", 1)]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", 1, ["n", 3, 8, 8])], [info("y", 1, ["n", 3])])
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def of_any_size(path):
    model(averages("y"), [("x", 1, ["n", 3, "h", "w"])], [("y", 1, ["n", 18])], {}, path)


def of_shape(path, shape):
    over = [1, 2] if shape[3] == 3 and shape[1] != 3 else [2, 3]
    model(averages("y", over), [("x", 1, shape)], [("y", 1, ["n", 18])], {}, path)
    return f"onnx:{path}?mean=0&std=1"


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        (["n", 3, "h", "w"], "8x6"), (["n", "c", "h", "w"], "8x6"), (["n", "h", "w", 3], "8x6"), (["n", 8, "w", 3],
         "8x6"),
        (["n", 3, 8, "w"], "8x6"), (["n", "c", "h", 6], "8x6"), (["n", 3, 8, 3], "8x3"), (["n", 8, 6, 3], ""),
    ],
)  # fmt: skip
def test_onnx__the_axis_of_colours_is_the_one_of_three(tmp_path, shape, size):
    encoder = load_encoder(of_shape(tmp_path / "s.onnx", shape) + (f"&size={size}" if size else ""))
    height, width = encoder.info.preprocessing["size"]
    assert f"{height}x{width}" == (size or "8x6")
    views = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    embeddings = encoder.embed(torch.from_numpy(views)).numpy()
    np.testing.assert_allclose(embeddings, np.tile(views.mean((1, 2)) / 255, 6), rtol=1e-5)


def test_onnx__a_side_that_the_file_fixes(tmp_path):
    for shape, message in (
        (["n", 3, 8, "w"], "onnx:s.onnx"),
        (["n", "h", 6, 3], "onnx:s.onnx"),
    ):
        with pytest.raises(UsageError) as refused:
            load_encoder(of_shape(tmp_path / "s.onnx", shape) + "&size=9")
        assert message in str(refused.value)
    with pytest.raises(EncoderError, match=r"\['n', 4, 8, 5\]"):
        load_encoder(of_shape(tmp_path / "s.onnx", ["n", 4, 8, 5]))


@pytest.mark.parametrize(
    ("write", "query", "kind", "message"),
    [
        (lambda path: None, "", UsageError, "f.onnx"),
        (lambda path: path.write_bytes(b""), "", EncoderError, "network"),
        (lambda path: path.write_bytes(b"\xff" * 99), "", EncoderError, "ONNX"),
        (lambda path: path.mkdir(), "", EncoderError, "not a regular file"),
        (two_inputs, "", EncoderError, r"2 inputs \(x, z\)"),
        (of_text, "", EncoderError, "its input x"),
        (of_classes, "", EncoderError, "int64"),
        (of_one_vector, "", EncoderError, "embedding"),
        (of_unknown_nodes, "", EncoderError, "Beautify"),
        (of_any_size, "", UsageError, "pictures"),
        (averaging, "size=16", UsageError, "takes 8 x 8"),
        (averaging, "size=8x", UsageError, "HEIGHTxWIDTH"),
        (averaging, "resize=4", UsageError, "at least 8"),
        (averaging, "mean=1,2", UsageError, "give one number"),
        (averaging, "mean=nan", UsageError, "give one number"),
        (averaging, "std=0", UsageError, "give numbers above 0"),
        (averaging, "interpolation=cubic", UsageError, "'bicubic'"),
        (averaging, "men=0.5", UsageError, "'mean'"),
        (averaging, "mean=0&mean=1", UsageError, "stands there twice"),
        (averaging, "mean", UsageError, "options are written"),
        (averaging, "group=XYZ", UsageError, "unknown group"),
        (averaging, "pooling=max", UsageError, "unknown pooling"),
        (averaging, "output=z", UsageError, "'z'"),
    ],
)
def test_onnx__what_cannot_be_is_one_sentence(tmp_path, write, query, kind, message):
    write(tmp_path / "f.onnx")
    spec = f"onnx:{tmp_path}/f.onnx{'?' if query else ''}{query}"
    with pytest.raises(CamtraceError, match=message) as raised:
        load_encoder(spec)
    assert isinstance(raised.value, kind)
    assert "\n" not in str(raised.value)
    assert str(tmp_path) not in str(raised.value).replace(spec, "")


def test_onnx__options_that_cannot_apply(tmp_path):
    averaging(tmp_path / "a.onnx")
    spec = f"onnx:{tmp_path}/a.onnx?mean=0&std=1"
    for options in ({"device": "cuda"}, {"dtype": "bfloat16"}, {"compile": True}):
        with pytest.raises(UsageError, match="do not apply"):
            load_encoder(spec, **options)
    for runtime in ("torch", "openvino"):
        with pytest.raises(UsageError, match="computed"):
            load_encoder(spec, runtime=runtime)
    assert load_encoder(spec, runtime="onnxruntime").info == load_encoder(spec).info


@pytest.mark.slow
def test_command__a_file_is_scored_and_its_path_stays_at_home(tmp_path, photo_folder, monkeypatch, capsys):
    averaging(tmp_path / "a.onnx")
    monkeypatch.chdir(tmp_path)
    spec = f"onnx:{tmp_path}/a.onnx?mean=0.5&std=0.5"
    given = [
        "-d",
        f"folder:{photo_folder}",
        "-t",
        "probe/jpeg",
        "--cache",
        "cache",
        "--workers",
        "0",
        "-q",
        "-o",
        "out",
    ]
    assert main(["-m", spec, *given]) == 0
    text = (tmp_path / "out" / "result.json").read_text()
    result = read_result(tmp_path / "out" / "result.json")
    assert [score.task for score in result.scores] == ["probe/jpeg"]
    assert result.environment["runtime"]["name"] == "onnxruntime"
    assert "--model 'onnx:PATH?mean=0.5&std=0.5'" in result.environment["command"]
    assert str(tmp_path) not in text
    assert main(["-m", f"onnx:{tmp_path}/b.onnx", *given]) == 2
    capsys.readouterr()
    plain = f"onnx:{tmp_path}/a.onnx"
    assert main(["-m", plain, *given]) == 0
    assert "not given" not in capsys.readouterr().err  # -q
    assert main(["-m", plain, *(word for word in given if word != "-q")]) == 0
    assert "given" in capsys.readouterr().err
