"""Kinds of the campaign: data sets in the forms of others, scores by item, embeddings and answers made elsewhere."""

from __future__ import annotations

import io
import os
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from scripts.checks.faults.campaign import Case, Kind
from scripts.checks.faults.kinds.commands import Reader
from scripts.checks.faults.kinds.data_sets import LAYOUTS, TABLES
from scripts.checks.faults.kinds.photos import NAMES
from scripts.checks.faults.kinds.spoilers import damage
from scripts.checks.faults.pictures import picture
from scripts.checks.faults.world import FAST, World, plan
from tests.support.camera_sets import DOUBLES

WEB = "webdataset/photos-{000,001}.tar?label=cls&split=json.side&group=site=json.site"


def _score(data: str, run: Path, *more: str) -> list[str]:
    """A small run without tasks of its own."""
    model = () if "-m" in more else ("-m", "control:jpeg-statistics")
    return ["score", *model, "-d", data, *FAST, "-o", str(run / "out"), "--cache", str(run / "cache"), *more]


def _audit(data: str, run: Path, *more: str) -> list[str]:
    return ["audit", data, "-o", str(run / "audit"), *more]


def _spec(kind: str, run: Path) -> str:
    return f"{kind}:{run / 'sets' / (WEB if kind == 'webdataset' else kind)}"


def _readers_of_sets() -> Iterator[Reader]:
    for kind in (*DOUBLES, *LAYOUTS):
        suffixes = "csv" if kind in ("dresden", "raise") else "*g"
        files = {"picture" if suffixes == "*g" else "table": f"sets/{kind}/**/*.{suffixes}"}
        yield Reader(
            f"audit {kind}", "sets", files, lambda run, world, kind=kind: _audit(_spec(kind, run), run), 1.5, 3
        )
    tar = {"shard": "sets/webdataset/*.tar"}
    for command, argv in _OF_SHARDS.items():
        yield Reader(f"{command} webdataset", "sets", tar, argv, 2.0, 2)


_OF_SHARDS: Mapping[str, Callable[[Path, World], list[str]]] = {
    "audit": lambda run, world: _audit(_spec("webdataset", run), run),
    "audit --stream": lambda run, world: _audit(_spec("webdataset", run), run, "--stream", "--limit", "10"),
    "score": lambda run, world: _score(_spec("webdataset", run), run, "-t", "probe/resizing"),
    "plan": lambda run, world: plan(_spec("webdataset", run), run),
}

_SCENES: Mapping[str, str] = {"plism": "plism", "scorpion": "scorpion", "fodb": "fodb"}
"""Data sets whose scenes several groups show: pairs and shares of the variance are scored."""

_LOGS = ("inspect_ai", "inspect_ai_json", "lm_eval", "lmms_eval")


def _compared(run: Path, form: str) -> list[str]:
    table = ("--item", "id", "--score", "right", "--cluster", "topic")
    return ["compare", *(str(run / "items" / f"{name}.{form}") for name in ("old", "new")), *table]


def _compared_logs(run: Path, harness: str) -> list[str]:
    return ["compare", *map(str, sorted((run / "items" / harness).iterdir())), "--output", str(run / "compared")]


def _reproduced(run: Path) -> list[str]:
    return ["reproduce", "iccv2025", *_score(_spec("imagenet", run), run, "-m", "facebook/dino-vits16")[1:]]


def _score_answers(run: Path, world: World) -> list[str]:
    spec = f"answers:{run / 'answers/answers.jsonl'}?questions={run / 'answers/questions.jsonl'}"
    return _score(f"folder:{world.photos}", run, "-m", spec)


def _diffed(run: Path, world: World) -> list[str]:
    ways = [f"model=embeddings:{run / 'vectors' / name}.parquet?id=id" for name in ("old", "new")]
    return ["diff", "-d", f"folder:{world.photos}", "--a", ways[0], "--b", ways[1], "-o", str(run / "diff"), "-q"]


READERS: Sequence[Reader] = (
    *_readers_of_sets(),
    *(
        Reader(f"score {kind}", "sets", {"picture": f"sets/{kind}/**/*.*g"},
               lambda run, world, kind=kind: _score(
                   _spec(kind, run), run, "-t", "retrieval/*", "-t", "variance/*", "--min-usable", "0.3"), 0.7, 6)
        for kind in _SCENES
    ),
    Reader("score simpairs", "sets", {"scene": "sets/scenes/*.jpg"},
           lambda run, world: _score(f"simpairs:{run / 'sets/scenes'}?scenes=4&size=64", run), 0.7, 2),
    Reader("score copies", "sets", {"picture": "sets/genimage/**/*.png"},
           lambda run, world: _score(_spec("genimage", run), run, "-t", "copies/*", "-t", "forensics/*"), 0.7, 6),
    Reader("reproduce", "sets", {"picture": "sets/imagenet/**/*.JPEG"},
           lambda run, world: _reproduced(run), 0.5, 6),
    *(
        Reader(f"compare --item {form}", "items", {"table": f"items/old.{form}"},
               lambda run, world, form=form: _compared(run, form), 1.5)
        for form in TABLES
    ),
    *(
        Reader(f"compare {harness}", "items", {"log": f"items/{harness}/*/*.*"},
               lambda run, world, harness=harness: _compared_logs(run, harness), 2.0, 2)
        for harness in _LOGS
    ),
    Reader("diff", "vectors", {"embeddings": "vectors/*.parquet"}, _diffed, 1.5, 2),
    Reader("score vlm", "vlm", {"configuration": "vlm/*.json", "weights": "vlm/*.safetensors"},
           lambda run, world: _score(
               f"folder:{world.photos}", run, "-m", f"vlm:{run / 'vlm'}", "-t", "answers/resizing"), 0.7),
    Reader("score answers", "answers", {"answers": "answers/answers.jsonl", "questions": "answers/questions.jsonl"},
           _score_answers, 3.0),
)  # fmt: skip
"""Commands and what they read."""


def kinds_of_sources() -> Iterator[Kind]:
    """Hostile archives, names and pictures in data sets of other forms."""
    for command, argv in _OF_SHARDS.items():
        yield Kind(f"{command} webdataset", "hostile members of a tar", _hostile_tar(argv), 2.0)
    for kind in ("fodb", "plism", "scorpion"):
        yield Kind(f"audit {kind}", "hostile archive", _hostile_zip(kind), 1.5)
    for kind in (*DOUBLES, *LAYOUTS):
        yield Kind(f"audit {kind}", "hostile names and pictures", _hostile_tree(kind), 1.0)
    yield Kind("diff", "hostile pictures", _hostile_diff, 2.0)


_MEMBERS: Sequence[Callable[[random.Random], tuple[str, bytes, bytes, str]]] = (
    lambda random_: ("../../outside.jpg", tarfile.REGTYPE, picture(random_)[1], ""),
    lambda random_: ("/tmp/outside.jpg", tarfile.REGTYPE, picture(random_)[1], ""),
    lambda random_: ("0000.jpg", tarfile.REGTYPE, picture(random_)[1], ""),
    lambda random_: ("a.jpg", tarfile.SYMTYPE, b"", "/etc/passwd"),
    lambda random_: ("b.jpg", tarfile.LNKTYPE, b"", "../../etc/passwd"),
    lambda random_: ("c.jpg", tarfile.FIFOTYPE, b"", ""),
    lambda random_: ("d.jpg", tarfile.CHRTYPE, b"", ""),
    lambda random_: ("0000.cls", tarfile.REGTYPE, b"\x1b[31m" * 9, ""),
    lambda random_: ("0001.cls", tarfile.REGTYPE, b"", ""),
    lambda random_: ("0001.json", tarfile.REGTYPE, b"[" * 5000, ""),
    lambda random_: ("0002.json", tarfile.REGTYPE, b'{"side": ["a"], "site": {"\\ud800": 1}}', ""),
    lambda random_: ("x" * 300 + ".jpg", tarfile.REGTYPE, picture(random_)[1], ""),
    lambda random_: (".jpg", tarfile.REGTYPE, picture(random_)[1], ""),
    lambda random_: ("e.jpg", tarfile.GNUTYPE_SPARSE, b"", ""),
    lambda random_: ("f.jpg/", tarfile.DIRTYPE, b"", ""),
)
"""Members that a shard should not have: name, type, content, target of a link."""


def _hostile_tar(argv: Callable[[Path, World], list[str]]) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        shutil.copytree(world.folder / "sets" / "webdataset", run / "sets" / "webdataset")
        shard = run / "sets" / "webdataset" / "photos-001.tar"
        data, count = hostile_shard(shard.read_bytes(), random_)
        shard.write_bytes(data)
        return Case(argv(run, world), count)

    return make


def hostile_shard(shard: bytes, random_: random.Random) -> tuple[bytes, int]:
    """A shard with members that it should not have before those that it has, or alone, or cut; and their number."""
    chosen = random_.sample(_MEMBERS, random_.randint(1, 5))
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w:", format=random_.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    ) as tar:
        for member in chosen:
            name, kind, data, target = member(random_)
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(data)
            tar.addfile(info, io.BytesIO(data))
    added = buffer.getvalue()
    return random_.choice((added[:-1024] + shard, added, added[: len(added) // 2])), len(chosen)


def _hostile_zip(kind: str) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        top, inputs = run / "sets" / kind, random_.randint(1, 4)
        shutil.copytree(world.folder / "sets" / kind, top)
        inner = sorted(path for path in top.iterdir() if path.is_dir())
        chosen = random_.choice(inner)
        with zipfile.ZipFile(chosen.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(chosen.rglob("*.*")):
                archive.write(path, path.relative_to(top))
            for i in range(inputs):
                name = random_.choice(
                    ("../../x.jpg", "/tmp/x.jpg", f"{chosen.name}/../x.jpg", f"{chosen.name}/{i}.jpg")
                )
                data = random_.choice((picture(random_)[1], bytes(40_000_000), b"", b"\xff"))
                archive.writestr(name, data)
        shutil.rmtree(chosen)
        if random_.random() < 0.4:
            damage(chosen.with_suffix(".zip"), random_)
        return Case(_audit(_spec(kind, run), run), inputs)

    return make


def _hostile_tree(kind: str) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        shutil.copytree(world.folder / "sets" / kind, run / "sets" / kind)
        files = sorted(path for path in (run / "sets" / kind).rglob("*.*") if path.suffix != ".csv" and path.is_file())
        chosen = random_.sample(files, min(len(files), random_.randint(2, 12)))
        for path in chosen:
            how = random_.randrange(4)
            if how == 0:
                path.write_bytes(picture(random_)[1])
            elif how == 1:
                os.rename(path, os.path.join(os.fsencode(path.parent), random_.choice(NAMES)))
            elif how == 2:
                path.unlink()
                path.symlink_to(random_.choice(("/dev/zero", "/etc/passwd", "nowhere", path.name)))
            else:
                path.unlink()
        return Case(_audit(_spec(kind, run), run), len(chosen))

    return make


def _hostile_diff(random_: random.Random, run: Path, world: World) -> Case:
    shutil.copytree(world.photos, run / "photos")
    count = random_.randint(2, 8)
    for i in range(count):
        (run / "photos" / "val" / "cat" / f"x{i}.jpg").write_bytes(picture(random_)[1])
    ways = random_.choice(("decoder=opencv", "colour=bgr", "orientation=stored", "resize=squash", "decoder=x", "="))
    words = ["--b", ways, "-o", str(run / "diff"), "-q", "--limit", "20"]
    return Case(["diff", "-m", "control:jpeg-statistics", "-d", f"folder:{run / 'photos'}", *words], count)
