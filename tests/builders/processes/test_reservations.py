"""What is reserved of a budget, unit by unit; how long a picture waits; what started processes are given."""

from pathlib import Path

import pytest
from PIL import Image

from builders.processes import memory_budget, reserve_for
from builders.processes.memory import Reservation, free_memory

UNIT = 64 * 2**20


def test_tie_to__the_end_of_a_picture_releases_it():
    with memory_budget(25 * UNIT):
        reservation, picture = reserve_for(4096, 4096), Image.new("L", (2, 2))
        reservation.tie_to(picture)
        assert reservation.held
        del picture
        assert not reservation.held
    Reservation(None).tie_to(Image.new("L", (1, 1)))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("MemTotal: 9 kB\nMemAvailable:    2048 kB\nMemFree: 1 kB\n", 2 << 20),
        ("MemTotal: 9 kB\n", 4 << 30),
        ("MemAvailable: many kB\n", 4 << 30),
        ("MemAvailable:\n", 4 << 30),
        (None, 4 << 30),
    ],
)
def test_free_memory__as_the_system_states_it(monkeypatch, text, size):
    def read_text(path, **_):
        assert str(path) == "/proc/meminfo"
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(Path, "read_text", read_text)
    assert free_memory() == size
