"""Encoders keep their names, sizes and training, and their photos' preprocessing, between versions; so do the sentences
about what is none."""

from benchmark.encoders import STUDY
from benchmark.encoders.preprocess.modes import study_transform
from tests.support.recorded import check_recorded


def test_transforms_of_the_study__are_as_recorded() -> None:
    check_recorded("transforms-of-the-study", {row.spec: study_transform(row.spec) for row in STUDY})
