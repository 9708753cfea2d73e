"""Which files decide a score: imports in every form, files of a package, their hash, and whole refusals."""

import hashlib

import pytest

from benchmark.results import scoring_code


def test_scoring_packages__whole_refusals(tmp_path):
    first = next(iter(scoring_code.HELD_ELSEWHERE))
    with pytest.raises(RuntimeError) as error:
        scoring_code.scoring_packages(tmp_path)
    assert str(error.value) == f"{first}: there is no such package; correct HELD_ELSEWHERE in scoring_code.py"
    with pytest.raises(RuntimeError) as error:
        scoring_code.files_of_package(tmp_path, "benchmark.none")
    assert str(error.value) == (
        f"benchmark.none: has no files below {tmp_path}, so the code that makes a score is not known"
    )
    package = tmp_path / "benchmark" / "one"
    (package / "inner" / "__pycache__").mkdir(parents=True)
    for name in ("b.py", "a.pyi", "inner/t.csv", "inner/__pycache__/b.pyc"):
        (package / name).write_bytes(name.encode())
    (tmp_path / "benchmark" / "one.py").write_bytes(b"module")
    files_of = scoring_code.files_of_package(tmp_path, "benchmark.one")
    assert files_of == {
        "benchmark/one.py": b"module",
        "benchmark/one/a.pyi": b"a.pyi",
        "benchmark/one/b.py": b"b.py",
        "benchmark/one/inner/t.csv": b"inner/t.csv",
    }


@pytest.mark.parametrize(
    ("source", "packages"),
    [
        (b"from benchmark import knn, stats as s\n", {"benchmark.knn", "benchmark.stats"}),
        (b"from benchmark import (\n    knn,\n    probe,\n)\n", {"benchmark.knn", "benchmark.probe"}),
        (b"import benchmark.knn.votes as v, os, builders.exif\n", {"benchmark.knn", "builders.exif"}),
        (b"    from builders.photos.source import x\n", {"builders.photos"}),
        (b"READ = 'builders.exif:read'\n", {"builders.exif"}),
        (b"import benchmark\n", set()),
        (b"# from benchmark import knn\nfrombenchmark import x\n", set()),
        (b"from benchmarks import knn\nimport buildersx.y\n", set()),
    ],
)
def test_imported__packages_of_this_project(source, packages):
    assert set(scoring_code._imported(source)) == packages


def test_hash_of_code__of_version_names_lengths_and_contents(monkeypatch):
    packages = {"b": {"b/x.py": b"12"}, "a": {"a/y.py": b"3"}}
    monkeypatch.setattr(scoring_code, "scoring_packages", lambda root: packages)
    for version in ("1.2", None):
        monkeypatch.setattr(scoring_code, "library_version", lambda name, v=version: v if name == "camtrace" else "no")
        expected = hashlib.sha256((version or "").encode() + b"a/y.py\x001\x003b/x.py\x002\x0012").hexdigest()[:16]
        assert scoring_code.hash_of_code("root") == expected
