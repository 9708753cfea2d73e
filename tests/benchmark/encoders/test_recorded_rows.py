"""Encoders keep their names, sizes and training, and their photos' preprocessing, between versions; so do the sentences
about what is none."""

from benchmark.encoders import STUDY
from benchmark.encoders.preprocess.modes import study_transform
from tests.support.recorded import check_recorded

LOADED = ("control:random-projection", "control:phash", "control:dhash", "control:whash", "control:jpeg-statistics")


def test_transforms_of_the_study__are_as_recorded() -> None:
    check_recorded("transforms-of-the-study", {row.spec: study_transform(row.spec) for row in STUDY})


LAYOUTS = (
    *("saved_model.pb", "zero_to_fp32.py", ".metadata", "pytorch_model_fsdp_0", "flax_model.msgpack", "tf_model.h5"),
    *("_CHECKPOINT_METADATA", "manifest.ocdbt", "model.onnx"),
)
