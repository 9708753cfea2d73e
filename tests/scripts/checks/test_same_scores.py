"""The script that says whether two runs hold the same scores."""

import json

from scripts.checks import same_scores


def write(folder, value=0.5, low=0.4, task="probe/jpeg"):
    folder.mkdir(parents=True)
    score = {"task": task, "metric": "accuracy", "value": value, "low": low, "high": 0.6, "n": 9, "chance": 0.25}
    (folder / "result.json").write_text(
        json.dumps({"encoder": {"id": "e"}, "data": {"name": "toy"}, "scores": [score]})
    )
    return str(folder)


def test_same_scores__equal_different_and_missing(tmp_path, capsys):
    a, b = write(tmp_path / "a"), write(tmp_path / "b" / "deeper")
    assert same_scores.main([a, b]) == 0
    assert "scores" in capsys.readouterr().out
    other = write(tmp_path / "c", value=0.5000000000000001)
    assert same_scores.main([a, other]) == 1
    assert "probe/jpeg" in capsys.readouterr().out
    assert same_scores.main([a, write(tmp_path / "d", low=0.41), "--values-only"]) == 0
    assert same_scores.main([a, write(tmp_path / "e", task="probe/make")]) == 1
    assert "probe/make" in capsys.readouterr().out
