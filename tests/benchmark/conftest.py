"""What tests of commands share."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmark.tasks import TaskInput
from builders.files import write_bytes_atomically
from tests.support.images import image_bytes


@pytest.fixture(scope="session", autouse=True)
def _drawing_is_imported():
    """Once for all: the fork that draws beside each run of a command would import it again (0.3 s)."""
    import matplotlib.figure  # noqa: F401


@pytest.fixture(scope="module")
def unpainted():
    """Pictures of reports are composed, not painted: a grey point stands in each file. For tests that run a command
    many times and look at no picture; painting is tested where pictures are (``results``, ``study``), and by
    ``scoring/test_command.py`` and ``audit/test_command.py`` end to end."""
    point = image_bytes(Image.new("L", (1, 1), 128), "PNG")
    with pytest.MonkeyPatch.context() as patch:
        for module in ("benchmark.report.figure", "benchmark.audit.report"):
            patch.setattr(f"{module}.write_png", lambda _, path: write_bytes_atomically(path, point))
        yield


@pytest.fixture(scope="module")
def brief():
    """Probes of commands give values and intervals alone, as those of outputs beside an embedding do: a learning curve
    and a training spread are eleven probes more, and ``probe`` and ``scoring/test_outputs.py`` are about them."""

    def short(*given, **named):
        return TaskInput(*given, **{**named, "brief": True})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.scoring.passes.TaskInput", short)
        yield


@pytest.fixture(scope="module")
def short_projection():
    """``control:random-projection`` has 64 of its 512 dimensions and 39 of its 308 MB: for tests that
    score with it and are not about it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.encoders.loaders.controls.PROJECTION_DIMENSION", 64)
        yield


@pytest.fixture(scope="session")
def vision_language_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a family -> the folder of its tiny checkpoint, made once."""
    from tests.support.vision_language import make_checkpoint

    folder = tmp_path_factory.mktemp("models")
    return functools.cache(lambda family: make_checkpoint(family, folder / family))


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two, whatever this machine has."""
    yield from _torch_threads(2)


@pytest.fixture
def three_threads() -> Iterator[None]:
    yield from _torch_threads(3)


def _torch_threads(number: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)
