"""sdist and wheel: what they hold, and that an installed camtrace works where there is no checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.test_dependencies import pyproject

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmark", "builders", "cards")
NO_PACKAGE_DATA = ("benchmark/leaderboard/web",)
"""Sources that the wheel leaves out: what they build to is in it."""

pytestmark = pytest.mark.slow


def checked_out(*folders):
    """Paths of the files below some folders of the checkout, without what tools leave there."""
    for top in folders:
        for folder, names, files in os.walk(ROOT / top):
            names[:] = [name for name in names if name not in ("__pycache__", "node_modules")]
            yield from ((Path(folder) / file).relative_to(ROOT).as_posix() for file in files if file[-4:] != ".pyc")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the sdist, and the wheel that was built from that sdist alone."""
    copy, out = tmp_path_factory.mktemp("checkout") / "camtrace", tmp_path_factory.mktemp("dist")
    left_out = shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "venv", "node_modules", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=left_out)
    # setuptools of the test extra, not of an isolated environment: that would need a network
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def run(built, tmp_path_factory):
    """Runs a program of a fresh environment that holds the wheel, far from the checkout; returns what it prints."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=os.name != "nt")
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    # Dependencies are those of this environment. A path in a .pth file brings no .pth files along: an editable
    # installation of the checkout stays out.
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    library = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    Path(library, "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"CAMTRACE_CACHE": str(elsewhere / "cache")}

    def call(program, *arguments):
        command = [str(scripts / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    wheel = next(built.glob("*.whl"))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run(install, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return call


def test_wheel__holds_every_file_of_the_packages(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    wanted = {name for name in checked_out(*PACKAGES) if not name.startswith(NO_PACKAGE_DATA)}
    modules = {path.name for path in ROOT.glob("*.py")}
    assert inside == wanted | modules
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "benchmark/bank/__init__.pyi",
        "benchmark/data/codec_canaries.json",
        "benchmark/data/iccv2025_per_encoder.csv",
        "benchmark/leaderboard/site/board.js",
        "benchmark/leaderboard/site/index.html",
        "benchmark/py.typed",
        "builders/exif/aliases.yaml",
        "builders/py.typed",
        "builders/simcams/cameras.yaml",
        "cards/data_set.md.jinja",
    ],
)
def test_wheel__holds_data_of_each_kind(name, built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        assert name in wheel.namelist()


def test_sdist__can_be_tested_and_built_again(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = set(checked_out("benchmark", "builders", "cards", "docs", "scripts", "tests"))
    wanted |= {
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "pyproject.toml",
    }
    assert not wanted - names
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]


@pytest.mark.parametrize("command", sorted(pyproject()["scripts"]))
def test_installed__every_command_explains_itself(command, run):
    assert re.search("usage:|commands:", run(command, "--help"))


@pytest.mark.parametrize("module", ["benchmark", "builders", *(path.stem for path in ROOT.glob("*.py"))])
def test_installed__its_own_modules_are_found_and_not_the_checkouts(module, run):
    place = run("python", "-c", f"import {module}; print({module}.__file__)").strip()
    assert "site-packages" in place
    assert not place.startswith(str(ROOT))
    assert "--" in run("python", "-m", module, "--help")


def test_installed__finds_its_data(run):
    """Templates, tables and the board's bundle, by the code that reads them."""
    assert "47 published" in run("python", "-m", "benchmark", "leaderboard", "--output", "site")
    program = (
        "from pathlib import Path\n"
        "from builders.exif.devices import aliases_version\n"
        "from builders.simcams import bundled_catalogue\n"
        "print(len(bundled_catalogue()), bool(aliases_version()), Path('site/README.md').read_text()[:3])\n"
    )
    assert run("python", "-c", program).split() == ["27", "True", "---"]
