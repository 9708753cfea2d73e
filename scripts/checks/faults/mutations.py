"""Hostile result files and answers: mutations of an honest result, each of which must be refused or be harmless."""

from __future__ import annotations

import copy
import functools
import io
import json
import os
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.results import Result, Score, write_result
from builders.pixels import PARAMETERS

VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 2**63, 10**400, 1e308, 5e-324, float("nan"), float("inf"), 0.5, 7),
    *("", "x", "\ud800", "\udcff", "\x1b[31m", "\u200b", "\u202e", "\u3164", "<script>", "../../etc", "a" * 10_000),
    "NaN",
    *("9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00", "2026-11-20T10:00:00+99:99", "=cmd()", "10"),
    *([], [[]], {}, {"a": {}}, [1, 2, 3], [None], {"": ""}, {"\ud800": 1}),
)
"""What a field may be replaced by."""


def honest_result(name: str, seed: int = 0, parameters: int | None = None) -> Result:
    """A result of the processing probes and kNN tasks (of all parameters) with scores that agree with one another."""
    random_ = random.Random(seed)
    scores = []
    for parameter in list(PARAMETERS.values())[:parameters]:
        value = random_.uniform(0.4, 0.9)
        task = f"probe/{parameter.name}"
        details = {"protocol": "converged", "classes": len(parameter.classes), "p_chance": 0.001}
        scores.append(Score(task, "toy", "accuracy", value, value - 0.02, value + 0.02, 200, parameter.chance, details))
        plain, spd = random_.uniform(0.3, 0.8), random_.uniform(-0.1, 0.1)
        for metric, shift in (("all-same", 0.0), ("all-diff", -0.01), ("pos-same", spd / 2), ("neg-same", -spd / 2)):
            v = plain + shift
            scores.append(Score(f"knn/{parameter.name}", "toy", metric, v, v - 0.02, v + 0.02, 200, 0.01, {"k": 10}))
        scores.append(Score(f"knn/{parameter.name}", "toy", "spd", spd, spd - 0.02, spd + 0.02, 200, 0.0, {"k": 10}))
    return Result(
        encoder={
            "id": name, "library": "timm", "revision": "0" * 40, "weights_sha256": f"{seed:064x}", "dimension": 512,
            "preprocessing": {"crop": 224}, "pooling": "cls", "parameters": 5_000_000, "group": "SUP",
            "training_data": "ImageNet-1k", "details": {},
        },
        data={
            "name": "toy", "photos": {"train": 400, "val": 200, "test": 0}, "classes": 10, "question_hash": "9ue5",
            "ids_hash": "1d5", "bytes_hash": "b", "source_jpeg": {}, "smoke_test": False, "evidence": {},
        },
        environment={
            "versions": {"torch": "2.4"}, "codec": {}, "codec_canary": "c", "device": "cpu", "dtype": "float32",
            "options": {"protocol": "converged", "seed": 0},
        },
        scores=tuple(scores), failures=(), cost={"photos": 600}, created="2026-11-20T10:00:00+00:00",
    )  # fmt: skip


def hostile_bytes(random_: random.Random, parameters: int | None = None) -> bytes:
    """A result file that is spoilt in one to four places."""
    raw = json.loads(honest_result("timm/hostile", 99, parameters).to_json())
    spoil(raw, random_)
    data = json.dumps(raw, ensure_ascii=random_.random() < 0.5).encode("utf-8", "surrogatepass")
    if random_.random() < 0.1:
        data = flipped(data, random_)
    return data[: random_.randrange(len(data))] if random_.random() < 0.03 else data


def spoil(raw: Any, random_: random.Random) -> None:
    """Change one to four places of a JSON value: other values, removed and nested ones, new keys."""
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        spots = [spot for spot in _spots(raw) if spot]
        *parents, last = random_.choice(spots)
        place = raw
        for step in parents:
            place = place[step]
        how = random_.random()
        if how < 0.7:
            place[last] = copy.deepcopy(random_.choice(VALUES))
        elif how < 0.8:
            del place[last]
        elif how < 0.9:
            place[last] = _deep(random_.choice((30, 70, 600)))
        elif isinstance(place, dict):
            place[random_.choice(("x", "\u200b", "id", "command", "local"))] = copy.deepcopy(random_.choice(VALUES))


def forgeries() -> Iterator[tuple[str, bytes]]:
    """Files that are well formed and must not be believed, by name."""
    raw = json.loads(honest_result("timm/honest-0", 0).to_json())

    def changed(**fields: Any) -> bytes:
        return json.dumps({**raw, **fields}, ensure_ascii=True).encode()

    score = raw["scores"][0]
    yield "dated 9999", changed(created="9999-01-01T00:00:00+00:00")
    yield "look-alike id", changed(encoder={**raw["encoder"], "id": "timm/honest-0\u200b"})
    yield "hangul filler", changed(encoder={**raw["encoder"], "id": "timm/honest\u3164-0"})
    yield "unknown task", changed(scores=[*raw["scores"], {**score, "task": "probe/charm"}])
    yield "2,539 columns", changed(scores=[{**score, "task": f"probe/x{i}"} for i in range(1_900)])
    yield "unlisted metrics", changed(scores=[{**score, "metric": f"m{i}"} for i in range(1_000)])
    yield "chance 0", changed(scores=[{**score, "chance": 0}])
    yield "chance 1", changed(scores=[{**score, "chance": 1}])
    yield "n 0", changed(scores=[{**score, "n": 0}])
    yield "n 10**18", changed(scores=[{**score, "n": 10**18}])
    yield "twice", changed(scores=[score, score])
    yield "outside its interval", changed(scores=[{**score, "value": 0.99, "low": 0.1, "high": 0.2}])
    yield "nested 600", json.dumps({**raw, "cost": _deep(600)}).encode()
    yield "integer of 400 digits", changed(cost={"photos": 10**400})
    yield "1e999", changed().replace(b'"photos": 600', b'"photos": 1e999')
    yield "lone surrogate", changed(data={**raw["data"], "name": "toy\ud800"})
    yield "other schema", changed(schema_version=99)
    yield "17 MB", b" " * (17 << 20) + changed()
    yield "no JSON", b"PK\x03\x04" + bytes(1000)
    yield "empty", b""


ANSWERS: dict[str, Callable[[random.Random], bytes]] = {
    "zeros that unfold to 1.2 GB": lambda random_: _bomb(),
    "shape of 10**15": lambda random_: _zip({"probe/jpeg/predicted.npy": _npy(b"", "(1000000000000000,)")}),
    "negative shape": lambda random_: _zip({"probe/jpeg/predicted.npy": _npy(b"", "(-1, -5)")}),
    "pickle": lambda random_: _zip({"probe/jpeg/predicted.npy": b"\x80\x04cos\nsystem\n."}),
    "object array": lambda random_: _saved(**{"probe/jpeg/predicted": np.array([{"a": 1}], dtype=object)}),
    "no archive": lambda random_: random_.randbytes(random_.randrange(2000)),
    "header of code": lambda random_: _zip({"probe/jpeg/predicted.npy": _npy(b"", "__import__('os').getcwd()")}),
    "other numbers": lambda random_: _probe(random_.random(), 200),
    "other photos": lambda random_: _probe(0.5, random_.randrange(1, 150)),
    "photos twice": lambda random_: _probe(0.5, 200, twice=True),
    "flipped bit": lambda random_: flipped(_probe(0.5, 200), random_),
    "cut off": lambda random_: _probe(0.5, 200)[: random_.randrange(500)],
}
"""Kinds of ``answers.npz`` that are damaged, a bomb, or say what the scores do not."""


def hostile_answers(random_: random.Random) -> tuple[str, bytes]:
    """One of ``ANSWERS``, with the name of its kind."""
    name = random_.choice(list(ANSWERS))
    return name, ANSWERS[name](random_)


def corpus(target: str) -> Iterator[bytes]:
    """What a fuzzer of a parser (``parser_fuzz.TARGETS``) begins with: a good file, then the bad ones known here."""
    if target == "result":
        yield honest_result("timm/honest", 1, parameters=1).to_json().encode()
        yield from (data for _, data in forgeries())
        yield from (hostile_bytes(random.Random(seed), parameters=1) for seed in range(50))
    elif target == "archive":
        yield _probe(0.5, 200)
        yield from (make(random.Random(0)) for name, make in ANSWERS.items() if not name.startswith("zeros"))
    elif target in ("picture", "exif"):
        buffer, tags = io.BytesIO(), Image.Exif()
        tags[0x010F], tags[0x0110] = "Canon", "EOS R5"
        Image.new("RGB", (16, 16), "teal").save(buffer, "JPEG", exif=tags)
        yield tags.tobytes() if target == "exif" else buffer.getvalue()


def write_board_folder(folder: Path, honest: int, hostile: int, seed: int) -> None:
    """Result files of honest encoders, and hostile ones next to them: mutations, forgeries, and what is no file."""
    for i in range(honest):
        write_result(honest_result(f"timm/honest-{i}", i), folder / "honest" / f"{i:03d}" / "result.json")
    random_, spoilt = random.Random(seed), folder / "hostile"
    forged = list(forgeries())
    for i in range(hostile):
        place = spoilt / f"{i:04d}" / "result.json"
        place.parent.mkdir(parents=True)
        if i < len(forged):
            place.write_bytes(forged[i][1])
        elif i % 50 == 0:
            os.mkfifo(place)
        elif i % 50 == 1:
            place.symlink_to("/dev/zero")
        elif i % 50 == 2:
            place.symlink_to("/etc/passwd")
        elif i % 50 == 3:
            os.mkfifo(Path(os.fsdecode(os.fsencode(place.parent) + b"/\xff\xfe\x1b[31m.json")))
        elif i % 10 == 4:  # scores that their answers contradict
            place.write_text(honest_result(f"timm/forged-{i}", i).to_json())
            place.with_name("answers.npz").write_bytes(_probe(0.0, 200))
        else:
            place.write_bytes(_unlike(random_))


def _unlike(random_: random.Random) -> bytes:
    """A mutation that is not one of an unread detail: such a file is as honest as the one it was made of."""
    from benchmark.leaderboard.admission import objection
    from benchmark.results.files import ResultFile, parse_result
    from builders.errors import DataError

    while True:
        data = hostile_bytes(random_)
        try:
            read = ResultFile("a.json", parse_result(data.decode("utf-8"), "a.json"))
        except (DataError, UnicodeDecodeError):
            return data
        if objection(read):
            return data


def _spots(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if len(at) > 12:
        return
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in inner:
        yield from _spots(item, (*at, step))


def _deep(levels: int) -> list[Any]:
    top: list[Any] = []
    for _ in range(levels):
        top = [top]
    return top


def _probe(share: float, n: int, *, twice: bool = False) -> bytes:
    """Answers of the JPEG probe that are right for a share of n photos."""
    classes = len(PARAMETERS["jpeg"].classes)
    right = np.arange(n) < share * n
    predicted = np.where(right, np.arange(classes)[:, None], (np.arange(classes)[:, None] + 1) % classes)
    photos = np.zeros(n, np.int64) if twice else np.arange(n)
    return _saved(**{"probe/jpeg/predicted": predicted[None].astype(np.uint8), "probe/jpeg/photos": photos})


def _saved(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def flipped(data: bytes, random_: random.Random) -> bytes:
    """The data with one bit flipped."""
    spoilt = bytearray(data)
    spoilt[random_.randrange(len(spoilt))] ^= 1 << random_.randrange(8)
    return bytes(spoilt)


def _npy(content: bytes, shape: str) -> bytes:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + content


@functools.cache
def _bomb() -> bytes:
    return _zip({"probe/jpeg/predicted.npy": _npy_zeros(1200 << 20)})


def _npy_zeros(size: int) -> Iterator[bytes]:
    yield _npy(b"", f"({size // 8},)")
    for _ in range(size >> 20):
        yield bytes(1 << 20)


def _zip(members: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as stream:
                for piece in (content,) if isinstance(content, bytes) else content:
                    stream.write(piece)
    return buffer.getvalue()
