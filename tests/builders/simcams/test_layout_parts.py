"""Simulated sets in real layouts: stand-ins of platforms, the mark, the card, and which files are rendered."""

from __future__ import annotations

from builders.pixels import Processing
from builders.simcams import layouts
from builders.simcams.settings import UNITS, unit_for


def test_platforms__size_quality_and_chroma_of_each() -> None:
    assert {name: (p.name, p.scale, p.quality, p.subsampling) for name, p in layouts.PLATFORMS.items()} == {
        "facebook": ("simulated-facebook", 0.75, 71, "4:2:0"),
        "instagram": ("simulated-instagram", 0.7, 75, "4:2:0"),
        "telegram": ("simulated-telegram", 0.8, 87, "4:2:0"),
        "twitter": ("simulated-twitter", 1.0, 85, "4:2:0"),
        "whatsapp": ("simulated-whatsapp", 0.8, 70, "4:2:0"),
    }
    assert all(p == Processing(p.name, p.quality, "4:2:0", scale=p.scale) for p in layouts.PLATFORMS.values())


def test_units__bodies_of_a_model_by_split() -> None:
    assert UNITS == {"train": (1, 2, 3), "val": (4,), "test": (5, 6)}
    for split, units in UNITS.items():
        taken = {unit_for(split, f"scene {i}", camera, 0) for i in range(40) for camera in "ab"}
        assert taken == set(units)
    draws = {
        tuple(unit_for("train", f"{i}", camera, seed) for i in range(20))
        for camera, seed in (("a", 0), ("a", 1), ("b", 0))
    }
    assert len(draws) == 3
