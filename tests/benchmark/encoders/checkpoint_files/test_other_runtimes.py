"""Networks of other runtimes are refused by name, with what to run."""

import pickle

import pytest

from benchmark.encoders import load_encoder
from builders.errors import UsageError

FILES = {
    "joblib": ({"model.joblib": pickle.dumps({"a": 1}, protocol=4)}, "model.joblib"),
    "OpenVINO": ({"net.xml": b"<?xml version='1.0'?><net/>", "net.bin": b"\0" * 64}, "net.xml"),
    "OpenVINO, a folder": ({"net.xml": b"<?xml version='1.0'?><net/>", "net.bin": b"\0" * 64}, ""),
    "OpenVINO, by optimum": (
        {"config.json": b'{"model_type": "vit"}', "net.xml": b"<net/>", "net.bin": b"\0" * 64}, "",
    ),
    "CoreML": ({"Manifest.json": b"{}"}, ""),
    "GGUF": ({"llava-q4.gguf": b"GGUF\0\0", "mmproj.gguf": b"GGUF\0\0"}, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_other_runtimes(name, tmp_path):
    files, path = FILES[name]
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UsageError, match=name.partition(",")[0]) as refused:
        load_encoder(f"{tmp_path / path}")
    assert "\n" not in str(refused.value)
