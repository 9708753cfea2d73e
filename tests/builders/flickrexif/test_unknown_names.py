"""The script that lists names which the alias tables do not contain."""

from builders.flickrexif.api.exif_answers import dumps
from builders.flickrexif.store.store import State
from scripts import unknown_names

SHOTS = [
    *[("Acme", "Model T", "1@N00")] * 3,
    ("Acme", "Model U", "2@N00"),
    *[("NIKON CORPORATION", "NIKON D90", "3@N00")] * 5,
    *[("samsung", "SAMSUNG-SM-N900A", "4@N00"), ("samsung", "SM-N900V", "5@N00")],
    ("SONY", "CYBERSHOT", "6@N00"),
    ("", "Mystery \x1b[31m", "7@N00"),
]


def test_unknown_names__of_a_state_most_frequent_first(tmp_path, capsys):
    with State(tmp_path / "state", create=True) as state, state.transaction() as db:
        for id, (make, model, owner) in enumerate(SHOTS, 1):
            row = (id, owner, '{"o": ["https://live.staticflickr.com/1/2_a_o.jpg", 1, 1]}', id)
            db.execute(
                "INSERT INTO photos (id, owner, source, urls, rank, selected) VALUES (?, ?, 'search', ?, ?, 1)", row
            )
            db.execute(
                "INSERT INTO exif VALUES (?, ?)", (id, dumps({("IFD0", "Make"): make, ("IFD0", "Model"): model}))
            )
    assert unknown_names.main([str(tmp_path / "state"), "--top", "1"]) == 0
    out = capsys.readouterr().out
    assert [line.split(maxsplit=2) for line in out.splitlines() if line.startswith("  ") and "owners" not in line] == [
        ["4", "2", "Acme"],
        ["3", "1", "Acme | Model T"],
        ["3", "1", "Acme | Model T"],
    ]
    assert "makers: 1 names, 4 photos" in out
    assert "device type unknown: 3 names, 5 photos" in out
    assert "models that are no class: 4 names, 7 photos" in out  # D90 is a class, CYBERSHOT is no name
    assert unknown_names.main([str(tmp_path / "state")]) == 0
    out = capsys.readouterr().out
    assert "       2         2  samsung | SM-N900\n" in out
    assert "(no maker) | Mystery ?[31m" in out
