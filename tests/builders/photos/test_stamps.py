"""Stamps of photos: the text of a file stands once, keys are those of the whole texts, every file is looked at once."""

import numpy as np

from builders.photos import FactCache, Stamp, Stamps


def test_fact_cache__takes_facts_under_earlier_stamps(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    rows = np.arange(3)[:, None]
    of_part = Stamps([Stamp("a 1|b 2 names", 5)], np.zeros(3, dtype=int), " {}", rows)
    before = FactCache("facts", tmp_path, of_part, "1")
    for index in (0, 2):
        before.put(index, f"of row {index}")
    before.save()
    of_file = Stamps([Stamp("a 1", 5), Stamp("b 2", 5)], np.array([0, 0, 1]), " {}", np.array([[0], [1], [0]]), of_part)
    after = FactCache("facts", tmp_path, of_file, "1")
    assert [after.get(index) for index in range(3)] == ["of row 0", None, "of row 2"]
