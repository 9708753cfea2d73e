"""The Pillow that is installed, the bound of pyproject.toml and the codecs that were measured belong together."""

import PIL
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from benchmark.publishing.provenance import known_codecs
from builders.pixels import codec_canary
from tests.test_dependencies import pyproject

REMEDY = (
    "install its wheel, print builders.pixels.codec_canary(), run scripts/checks/pixel_engine.py until no pixel "
    "differs, add the version to benchmark/data/codec_canaries.json and move the bound of pillow in pyproject.toml"
)


def measured():
    """Version of Pillow -> canary."""
    return {version: codec.canary for codec in known_codecs().values() for version in codec.pillow}


def bound():
    lines = map(Requirement, pyproject()["dependencies"])
    return next(line.specifier for line in lines if line.name == "pillow")


def unmeasured(installed):
    """What to do about an installed Pillow that nobody has measured; empty if somebody has."""
    return "" if installed in measured() else f"Pillow {installed} is not among the measured ones: {REMEDY}"


def test_installed__is_measured_and_gives_the_pixels_of_its_version():
    assert not unmeasured(PIL.__version__)
    assert codec_canary() == measured()[PIL.__version__], f"another build of Pillow {PIL.__version__}? If not: {REMEDY}"


@pytest.mark.parametrize("version", sorted(measured(), key=Version))
def test_bound__lets_every_measured_version_in(version):
    assert bound().contains(version), REMEDY


def test_bound__ends_after_the_newest_measured_minor_version():
    newest = max(map(Version, measured()))
    assert bound().contains(f"{newest.major}.{newest.minor}.{newest.micro + 1}")  # repairs of security may come in
    assert not bound().contains(f"{newest.major}.{newest.minor + 1}"), REMEDY
    assert not bound().contains(f"{newest.major + 1}.0"), REMEDY
