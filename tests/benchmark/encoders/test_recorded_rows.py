"""Encoders keep their names, sizes and training, and their photos' preprocessing, between versions."""

import dataclasses

from benchmark.encoders import list_encoders, load_encoder
from benchmark.encoders.network import probe_image
from tests.support.recorded import check_recorded

LOADED = ("control:random-projection", "control:phash", "control:dhash", "control:whash", "control:jpeg-statistics")


def test_rows_of_encoders__are_as_recorded():
    check_recorded("encoders", {row.spec: dataclasses.asdict(row) for row in list_encoders()})


def test_embeddings_of_controls__are_as_recorded(embed_photos):
    made = {}
    for spec in LOADED:
        encoder = load_encoder(spec, device="cpu")
        made[f"{spec}: information"] = {k: v for k, v in vars(encoder.info).items() if k not in ("versions", "details")}
        made[f"{spec}: embeddings"] = embed_photos(encoder, [probe_image(320, 240), probe_image(90, 300)])
    check_recorded("embeddings-of-controls", made, tolerance=0.003)
