"""Markers of shards that no build wrote: such a shard is not there, and nothing raises."""

from types import SimpleNamespace

import pytest

from builders.dataset.shards import finished_shard


@pytest.mark.parametrize(
    "text",
    ["5", '"text"', "null", "true", "[]", "[1]", "{}", '{"failures": 5}', '{"failures": [5]}', '{"failures": []}', "{"],
)
def test_finished_shard__of_a_marker_of_another_form_is_none(tmp_path, text):
    marker = tmp_path / "a.json"
    marker.write_text(text)
    (tmp_path / "a.parquet").write_bytes(b"")
    job = SimpleNamespace(output=tmp_path, recipe_hash="r")
    job.marker, job.file = (lambda number: marker), (lambda number: "a.parquet")
    assert finished_shard(job, 0) is None
