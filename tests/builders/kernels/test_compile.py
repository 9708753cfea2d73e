"""Entry points: where they are cached, and that a change of a function compiled into them is noticed."""

import importlib.util
import os
from pathlib import Path

import pytest

pytest.importorskip("numba")

from builders.kernels import cache, compile


def own_folder() -> tuple[str, ...]:
    return tuple(map(str, sorted(Path(__file__).parent.glob("*.py"))))


def test_entry_point__compiles_where_nothing_can_be_written(monkeypatch, tmp_path):
    def double(x):
        return 2 * x

    def refuse(self):
        raise OSError("read-only")

    monkeypatch.setattr("numba.core.caching._CacheLocator.ensure_cache_path", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compile.entry_point(double)(21) == 42
    assert not list(tmp_path.iterdir())


def test_entry_point__is_cached_in_a_folder_named_by_the_sources(monkeypatch, tmp_path):
    from numba import config

    def treble(x):
        return 3 * x

    stale = tmp_path / "camtrace" / f"engine-{'0' * 16}"
    stale.mkdir(parents=True)
    os.utime(stale, (0, 0))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "numba"))
    assert compile.entry_point(treble)(2) == 6
    assert list((tmp_path / "numba").rglob("*.nbi"))
    assert [p.name for p in (tmp_path / "camtrace").iterdir()] == [stale.name]
    monkeypatch.setattr(config, "CACHE_DIR", "")
    assert compile.entry_point(treble)(2) == 6
    assert [p.name for p in (tmp_path / "camtrace").iterdir()] == [f"engine-{cache.sources_hash(own_folder())}"]
    assert list((tmp_path / "camtrace").rglob("*.nbi"))
    assert config.CACHE_DIR == ""


def test_entry_point__is_compiled_again_after_a_change_in_another_module_of_its_folder(monkeypatch, tmp_path):
    """numba compares the file of the entry point alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kernel, part = tmp_path / "kernel.py", tmp_path / "part.py"
    kernel.write_text(
        "import runpy\nfrom pathlib import Path\nfrom builders.kernels import entry_point, jit\n"
        "scale = jit(runpy.run_path(str(Path(__file__).with_name('part.py')))['scale'])\n"
        "@entry_point\ndef scaled(x):\n    return scale(x)\n"
    )
    results = []
    for factor in (2, 5):
        part.write_text(f"def scale(x):\n    return {factor} * x\n")
        cache.sources_hash.cache_clear()
        spec = importlib.util.spec_from_file_location(f"kernel_{factor}", kernel)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        results.append(module.scaled(10))
    assert results == [20, 50]


def test_kernel_folder__changes_with_a_part_of_another_package(tmp_path):
    part, other = tmp_path / "part.py", tmp_path / "other.py"
    part.write_text("FACTOR = 2\n")
    other.write_text("FACTOR = 3\n")
    folders = {cache.kernel_folder(), cache.kernel_folder((str(part),)), cache.kernel_folder((str(other),))}
    assert len(folders) == 3
    other.write_text("FACTOR = 2\n")
    cache.sources_hash.cache_clear()
    assert cache.kernel_folder((str(other),)) == cache.kernel_folder((str(part),))


@pytest.mark.parametrize("fastmath", [(), compile.SUMS_IN_ANY_ORDER])
def test_jit__is_exact_unless_sums_may_be_in_any_order(fastmath, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def double(x):
        return 2 * x

    for compiled in (compile.jit(double, fastmath=fastmath), compile.entry_point(double, fastmath=fastmath)):
        options = compiled.targetoptions
        assert (options["fastmath"] or set()) == set(fastmath)
        assert (options["error_model"], options["nogil"], options["boundscheck"]) == ("numpy", True, False)
    assert "reassoc" in compile.SUMS_IN_ANY_ORDER
    assert not {"nnan", "ninf", "fast"} & compile.SUMS_IN_ANY_ORDER  # values that are not finite stay so


def test_entry_point__its_folder_is_named_by_its_parts_too(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def double(x):
        return 2 * x

    compile.entry_point(double, parts=[cache])
    assert [p.name for p in (tmp_path / "camtrace").iterdir()] == [
        f"engine-{cache.sources_hash((*own_folder(), cache.__file__))}"
    ]
