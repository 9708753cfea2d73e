"""A word in a key or name of the code that stands nowhere else in the repository is taken for a misspelling."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]

NAMES_OF_OTHERS = {
    "Exif, XMP and DNG": "ApertureValue CreationDate CustomRendered DigitalZoomRatio ExifImageHeight ExifImageWidth"
    " ExposureCompensation ExposureIndex ExposureMode ExposureProgram FileSource HostComputer LensInfo LensMake"
    " LightSource MaxApertureValue MeteringMode ModifyDate OffsetTimeOriginal ProcessingSoftware SceneCaptureType"
    " SceneType SensingMethod ShutterSpeedValue UniqueCameraModel mmFormat LensModel",
    "files and their formats": "DIB hei hev zstd snappy mlmodel pdparams ndjson rels tgz rar zst arw orf raf pef"
    " Modified LastModified motivenum motivenumber positionnum positionnumber",
    "Croissant and schema.org": "contentSize contentUrl dataCollection dataReleaseMaintenancePlan dataUseCases exifEX"
    " inLanguage photography",
    "datasets": "ArrowExamplesIterable ExamplesIterable FormattedExamplesIterable MappedExamplesIterable"
    " RebatchedArrowExamplesIterable SelectColumnsIterable filepath",
    "Linux": "CLK TCK NPROC",
    "datatrove and Ray": "JobsPipelineExecutor RayPipelineExecutor ACCEL OVERRIDE",
    "timm, torchvision and transformers": "AuxLogits CenterCropOrPad DistributedDataParallel ResizeKeepRatio"
    " ForImageClassificationWithTeacher VisionModelWithProjection inheriting instructblipvideo lxmert modalities"
    " CLIPImageProcessorPil recompile serialized tokenizer verifying vicuna",
    "ONNX Runtime and OpenVINO": "CPUExecutionProvider GroupConvolution NCHW PINNING depthwise",
    "numba and LLVM": "boundscheck cfunc contract nogil isa pan reassoc",
    "matplotlib and tqdm": "edgecolor fonttype hatch xtick cols maxinterval miniters ncallbacks",
    "kinds of numpy and struct": "fiu iufb biufcU hhqqi",
    "addresses of stores": "abfss adl oci oss",
    "errors and files of the system": "EHOSTDOWN ENOTCONN ETIMEDOUT NOFOLLOW statm",
    "Python": "abiflags gui",
    "SQLite": "VACUUM",
    "Flickr": "posted",
    "PyTorch and its devices": "rocm metal ALLOC",
    "values in help": "REV",
    "photos without a title": "Untitled",
    "the letters of choices": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
}
"""Whose word it is -> words that stand once, because only the other library or format knows them."""

WORD = re.compile(r"[A-Za-z]+")

SUFFIXES = (
    ".py",
    ".pyi",
    ".md",
    ".jinja",
    ".json",
    ".yaml",
    ".yml",
    ".toml",
    ".csv",
    ".sql",
    ".ts",
    ".mjs",
    ".js",
    ".css",
)


def texts():
    """(name, text) of every file of code, tests and documents, without this one."""
    for folder in ("benchmark", "builders", "cards", "docs", "scripts", "tests"):
        for path in sorted((ROOT / folder).rglob("*.*")):
            written = path.suffix in SUFFIXES and path.is_file() and "node_modules" not in path.parts
            if written and path != Path(__file__):
                yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
    for path in (ROOT / "camtrace.py", ROOT / "pyproject.toml", *ROOT.glob("*.md")):
        yield path.name, path.read_text("utf-8")


def keys_and_names(source):
    """Strings of code that are no sentences."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch(r"[\w./-]{2,60}", node.value)
        ):
            yield node.value


def test_words__in_keys_and_names_stand_more_than_once():
    every = dict(texts())
    count = Counter(word.lower() for text in every.values() for word in WORD.findall(text))
    known = {word for words in NAMES_OF_OTHERS.values() for word in words.split()}
    alone = {
        (word, name)
        for name, text in every.items()
        if name.startswith(("benchmark/", "builders/")) and name.endswith(".py")
        for key in keys_and_names(text)
        for word in WORD.findall(key)
        if len(word) > 2 and count[word.lower()] == 1
    }
    assert len(every) > 1000
    assert not sorted((name, word) for word, name in alone if word not in known)
