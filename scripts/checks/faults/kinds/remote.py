"""Kinds of the campaign: data that are read where they are: streams of the Hub, tar shards of a server, folders of a
store. Answers are changed on the way, and footers, members and listings lie."""

from __future__ import annotations

import functools
import io
import json
import random
import re
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.checks.faults.campaign import Case, Kind
from scripts.checks.faults.kinds.answers import fill_repo, parquet_of, rows_of, use_hub
from scripts.checks.faults.kinds.proxy import BYTES_DIFFER, MANNERS, OF_RANGES, Bucket, ChangingProxy, entries_of
from scripts.checks.faults.kinds.sources import hostile_shard
from scripts.checks.faults.kinds.stores import use_store
from scripts.checks.faults.mutations import flipped
from scripts.checks.faults.pictures import picture
from scripts.checks.faults.processes import Ended, ended, start
from scripts.checks.faults.world import MODELS, World, plan, score, scores_of

STREAMED = "owner/world-streamed"
FILES, GROUP_ROWS = 3, 4

ALL_MANNERS = (*MANNERS, *OF_RANGES)

_LIMIT = ("--stream", "--limit", "20")


def _audit(data: str, run: Path, *more: str) -> list[str]:
    return ["audit", data, "-o", str(run / "audit"), *more]


def _build(data: str, run: Path) -> list[str]:
    what = ("build", "folder", "--data", data, "--parameter", "jpeg", "--workers", "1", "--limit", "10")
    return [*what, "--output", str(run / "set")]


def _planned_score(data: str, run: Path, *more: str) -> list[str]:
    return ["plan", *score(data, run, *more)]


OF_HUB: Mapping[str, tuple[Callable[[str, Path], list[str]], float]] = {
    "score --stream": (lambda data, run: score(data, run, *_LIMIT), 1.0),
    "sweep --stream": (lambda data, run: score(data, run, *_LIMIT, models=MODELS, command="sweep"), 0.5),
    "audit --stream": (lambda data, run: _audit(data, run, "--stream", "--limit", "10"), 1.0),
    "plan score --stream": (lambda data, run: _planned_score(data, run, *_LIMIT), 0.5),
}
"""Commands that stream a data set of the Hub."""

OF_PLACES: Mapping[str, tuple[Callable[[str, Path], list[str]], float]] = {
    "score": (lambda data, run: score(data, run), 1.0),
    "score --stream": (lambda data, run: score(data, run, *_LIMIT), 0.5),
    "audit": (lambda data, run: _audit(data, run), 1.5),
    "plan": (lambda data, run: plan(data, run), 0.7),
    "build folder": (_build, 0.7),
}
"""Commands that read shards or folders elsewhere."""


@contextmanager
def kinds_of_remote_data(world: World) -> Iterator[list[Kind]]:
    """Data elsewhere, for all commands that read them."""
    files = _parquet_files(world)
    fill_repo(world, STREAMED, {"README.md": b"---\nlicense: cc0-1.0\n---\n", **files})
    proxy, bucket = ChangingProxy(), Bucket()
    shards = {path.name: path.read_bytes() for path in sorted((world.folder / "sets/webdataset").glob("*.tar"))}
    photos = {path.relative_to(world.photos).as_posix(): path.read_bytes() for path in world.photos.rglob("*.jpg")}
    tars = _Place(world, proxy, bucket, shards, _reach_server, "webdataset:{url}/b/photos-{{000,001}}.tar{columns}")
    store = _Place(world, proxy, bucket, photos, _reach_store, "folder:s3://b/photos")
    kinds = []
    for command, (argv, share) in OF_HUB.items():
        changed = _changed_stream(world, proxy, argv)
        kinds.append(Kind(command, "changed answers about a stream of the Hub", changed, 1.5 * share, False, True))
        kinds.append(Kind(command, "footers that lie", _lying_footers(files, argv), 1.5 * share))
    for command, (argv, share) in OF_PLACES.items():
        kinds.append(Kind(command, "changed answers about tar shards", tars.changed(argv), 1.5 * share, False, True))
        kinds.append(Kind(command, "hostile members of a tar over http", tars.hostile(argv), share, False, True))
        if "--stream" not in command:
            kinds.append(Kind(command, "changed answers of a store", store.changed(argv), 1.5 * share, False, True))
            kinds.append(Kind(command, "a listing that lies", store.lying(argv, command), 1.5 * share, False, True))
    yield kinds


# ---- a stream of the Hub


def _parquet_files(world: World) -> dict[str, bytes]:
    rows = rows_of(world)
    names = [f"data/train-{i:05}-of-{FILES:05}.parquet" for i in range(FILES)]
    return {name: parquet_of(rows[i::FILES], row_group_size=GROUP_ROWS) for i, name in enumerate(names)}


def _changed_stream(
    world: World, proxy: ChangingProxy, argv: Callable[[str, Path], list[str]]
) -> Callable[[random.Random, Path, World], Case]:
    data = f"hub:{STREAMED}?label=label"
    expected = functools.cache(lambda: _undisturbed(lambda run: argv(data, run), lambda: use_hub(world.hub.url)))

    def make(random_: random.Random, run: Path, world: World) -> Case:
        chosen, share, seed = _drawn_manners(random_)
        expected()  # before this case begins
        return Case(
            argv(data, run),
            prepare=lambda: use_hub(proxy.url),
            begin=lambda: proxy.begin(world.hub.url, chosen, share, seed),
            silent=_compared(run, expected, chosen),
            counted=lambda: proxy.changed,
        )

    return make


def _drawn_manners(random_: random.Random) -> tuple[list[str], float, int]:
    chosen = random_.sample(ALL_MANNERS, random_.choice((1, 1, 3)))
    return chosen, random_.choice((0.05, 0.3, 1.0)), random_.randrange(1 << 30)


def _lying_footers(
    files: Mapping[str, bytes], argv: Callable[[str, Path], list[str]]
) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        lies, rows = dict(files), rows_of(world)
        chosen = random_.sample(sorted(lies), random_.randint(1, FILES))
        for name in chosen:
            lies[name] = lying_footer(lies[name], rows, random_)
        name = f"owner/lies-{run.parent.name}-{random_.randrange(1 << 30)}"
        fill_repo(world, name, lies)
        words = argv(f"hub:{name}?label=label", run)
        return Case(words, len(chosen), prepare=lambda: use_hub(world.hub.url))

    return make


def lying_footer(data: bytes, rows: list[dict[str, Any]], random_: random.Random) -> bytes:
    """A Parquet file whose footer does not tell what is in it."""
    length = struct.unpack("<I", data[-8:-4])[0]
    body, footer, end = data[: -8 - length], data[-8 - length : -8], data[-8:]
    how = random_.randrange(7)
    if how <= 2:
        for _ in range(random_.choice((1, 1, 2, 5))):
            at = random_.randrange(len(footer))
            footer = footer[:at] + _varint(random_.choice(_NUMBERS)) + footer[at + 1 :]
    elif how == 3:
        other = parquet_of(
            rows[: random_.randint(1, len(rows))] * random_.choice((1, 5)), row_group_size=random_.choice((1, 4, 1000)),
            use_dictionary=random_.random() < 0.5, compression=random_.choice(("none", "snappy", "zstd")),
        )  # fmt: skip
        footer = other[-8 - struct.unpack("<I", other[-8:-4])[0] : -8]
    elif how == 4:
        lengths = (0, 1, length - 1, length + 1, len(data), 2**31 - 1, 2**31, 2**32 - 1)
        return body + footer + struct.pack("<I", random_.choice(lengths)) + random_.choice((b"PAR1", b"PARE", b"PAR2"))
    elif how == 5:
        footer = _twice(data, random_)
    else:
        for _ in range(random_.choice((1, 4, 32))):
            footer = flipped(footer, random_)
    return body + footer + struct.pack("<I", len(footer)) + end[4:]


def _twice(data: bytes, random_: random.Random) -> bytes:
    """A footer that has each row group several times."""
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_metadata(io.BytesIO(data))
    for _ in range(random_.choice((1, 3, 12))):
        metadata.append_row_groups(metadata)
    buffer = io.BytesIO()
    metadata.write_metadata_file(buffer)
    whole = buffer.getvalue()
    return whole[-8 - struct.unpack("<I", whole[-8:-4])[0] : -8]


_NUMBERS = (0, 1, 2, 3, 127, 128, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1)


def _varint(number: int) -> bytes:
    made = b""
    while number > 127:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


# ---- tar shards of a web server, and a folder of a store


class _Place:
    """Files at an address, and how a command reaches them through a proxy."""

    def __init__(
        self,
        world: World,
        proxy: ChangingProxy,
        bucket: Bucket,
        files: Mapping[str, bytes],
        reach: Callable[[str], None],
        spec: str,
    ) -> None:
        self._proxy, self._bucket, self._reach = proxy, bucket, reach
        self._files = {name if name.endswith(".tar") else f"photos/{name}": data for name, data in files.items()}
        columns = "?label=cls"
        self._spec = spec.format(url=proxy.url, columns=columns)

    def changed(self, argv: Callable[[str, Path], list[str]]) -> Callable[[random.Random, Path, World], Case]:
        """Answers that are changed."""

        def begin_honest() -> None:
            self._begin(self._files, None, "", (), 0.0, 0)

        expected = functools.cache(
            lambda: _undisturbed(lambda run: argv(self._spec, run), lambda: self._reach(self._proxy.url), begin_honest)
        )

        def make(random_: random.Random, run: Path, world: World) -> Case:
            chosen, share, seed = _drawn_manners(random_)
            expected()  # before this case begins
            return Case(
                argv(self._spec, run),
                prepare=lambda: self._reach(self._proxy.url),
                begin=lambda: self._begin(self._files, None, "", chosen, share, seed),
                silent=_compared(run, expected, chosen),
                counted=lambda: self._proxy.changed,
            )

        return make

    def hostile(self, argv: Callable[[str, Path], list[str]]) -> Callable[[random.Random, Path, World], Case]:
        """Shards with hostile members."""

        def make(random_: random.Random, run: Path, world: World) -> Case:
            names = sorted(self._files)
            shard, count = hostile_shard(self._files[names[-1]], random_)
            files = {**self._files, names[-1]: shard}
            return Case(
                argv(self._spec, run),
                count,
                prepare=lambda: self._reach(self._proxy.url),
                begin=lambda: self._begin(files, None, "", (), 0.0, 0),
            )

        return make

    def lying(
        self, argv: Callable[[str, Path], list[str]], command: str
    ) -> Callable[[random.Random, Path, World], Case]:
        """Listings that say other than what is there, and objects that are not what is listed."""

        def make(random_: random.Random, run: Path, world: World) -> Case:
            honest = entries_of(self._files)
            files, listed, lost = dict(self._files), [dict(entry) for entry in honest], False
            chosen = random_.sample(range(len(listed)), random_.randint(1, 8))
            for at in chosen:
                path = str(listed[at]["Key"])
                if random_.random() < 0.4:
                    change = random_.choice(_OBJECTS)(files[path], random_)
                    whole = change is not None and (len(change) == len(files[path]) or change.startswith(files[path]))
                    lost = lost or not whole
                    files.pop(path)
                    files |= {} if change is None else {path: change}
                else:
                    listed[at] |= random_.choice(_ENTRIES)(path, random_)
            listed = [entry for entry in listed for _ in range(1 if random_.random() < 0.97 else 2)]
            more = random_.choice(_ENDINGS) if random_.random() < 0.15 else ""

            def silent(end: Ended) -> str:
                if command not in ("score", "audit"):  # which do not read every photo
                    return ""
                named = end.status or _NAMED.search(end.output) or _failures(run)
                return "a lost photo, unnamed" if lost and not named else ""

            return Case(
                argv(self._spec, run),
                len(chosen),
                prepare=lambda: self._reach(self._proxy.url),
                begin=lambda: self._begin(files, listed, more, (), 0.0, 0),
                silent=silent,
            )

        return make

    def _begin(
        self,
        files: Mapping[str, bytes],
        listed: Sequence[Mapping[str, Any]] | None,
        more: str,
        manners: Sequence[str],
        share: float,
        seed: int,
    ) -> None:
        self._bucket.files, self._bucket.listed, self._bucket.more = dict(files), listed, more
        self._proxy.begin(self._bucket.url, manners, share, seed)


def _reach_server(url: str) -> None:
    from builders.untrusted import ranges

    ranges.ALLOW_LOOPBACK = True


def _reach_store(url: str) -> None:
    from builders.untrusted import ranges

    ranges.LISTING_S = 20.0  # some lists have no end
    use_store(
        {"endpoint_url": url, "key": "key", "secret": "secret", "config_kwargs": {"retries": {"max_attempts": 1}}}
    )


_NAMES = (
    "photos/../../outside.jpg", "photos//x.jpg", "/photos/x.jpg", "photos/train/cat/\x85[31m.jpg",
    "photos/train/cat/", "photos", "photos/", "", "photos/train/\u202e/x.jpg", "photos/train/cat/" + "x" * 3000,
    "photos/train/cat/a%2e%2e%2fb.jpg", "photos/train/cat/a?versionId=1", "photos/train/cat/a#b.jpg", "other/x.jpg",
    "photos/.hidden/x.jpg", "photos/train/cat", "photos/train/cat/[a]*.jpg", "photos/val/\u3164/x.jpg", "photos/a.tar",
)  # fmt: skip

_ENTRIES: Sequence[Callable[[str, random.Random], dict[str, Any]]] = (
    lambda path, random_: {"Key": random_.choice(_NAMES)},
    lambda path, random_: {"Size": random_.choice((0, 1, -1, 5, 10**9, 10**15, 2**63, 10**400, "", "x", "1e9", "1.5"))},
    lambda path, random_: {"LastModified": random_.choice(("", "x", "0001-01-01T00:00:00.000Z", "9" * 20, "\u0663"))},
    lambda path, random_: {"ETag": random_.choice(("", '"', "\u202e", "x" * 9000, '"same"'))},
    lambda path, random_: {"StorageClass": random_.choice(("GLACIER", "", "\u3164", "DIRECTORY"))},
    lambda path, random_: {"Key": path + random_.choice(("/", "/x.jpg", " ", ".tar"))},
)
"""What an entry of a listing may say."""

_OBJECTS: Sequence[Callable[[bytes, random.Random], bytes | None]] = (
    lambda data, random_: None,
    lambda data, random_: data[: random_.randrange(len(data))],
    lambda data, random_: data + bytes(random_.choice((1, 1 << 20))),
    lambda data, random_: picture(random_)[1],
    flipped,
    lambda data, random_: b"",
)
"""What an object may be; None where it is not there."""

_ENDINGS = (
    "<IsTruncated>true</IsTruncated>",
    "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>",
    "<IsTruncated>maybe</IsTruncated>", "<Contents/>", "<Contents><Key></Key></Contents>", "<CommonPrefixes/>", "<a",
    "<Contents><Size>5</Size></Contents>", "<EncodingType>url</EncodingType>", "<KeyCount>x</KeyCount>",
)  # fmt: skip
"""What a listing may end with."""

_NAMED = re.compile(r"warning|cannot be|refused|left out|[1-9]\d* (photos )?(failed|unreadable)|changed since")
"""What a command says of a photo that it could not use."""


# ---- what a run must give


def _undisturbed(
    argv: Callable[[Path], list[str]], prepare: Callable[[], object], begin: Callable[[], object] = lambda: None
) -> Any:
    """What a run makes whose answers nobody changes."""
    with tempfile.TemporaryDirectory(prefix="camtrace-undisturbed-") as name:
        run = Path(name, "run")
        run.mkdir()
        begin()
        log = run.with_suffix(".log")
        end = ended(start(argv(run), run, log, prepare), log)
        assert end.status == 0, end.output
        return _made(run)


def _made(run: Path) -> Any:
    """The scores of a run, the numbers of an audit, or the files of a build or plan."""
    made: dict[str, Any] = {
        path.relative_to(run).as_posix(): scores_of(path) for path in sorted((run / "out").rglob("result.json"))
    }
    if (run / "audit" / "audit.json").is_file():
        audit = json.loads((run / "audit" / "audit.json").read_text())
        made["audit"] = [audit[name] for name in ("photos", "classes", "verdict", "questions")]
    for path in sorted((run / "set").rglob("*.parquet")):
        made[path.relative_to(run).as_posix()] = path.read_bytes()
    return made


def _failures(run: Path) -> bool:
    """Whether what a run made names photos that cannot be used."""
    reports = [json.loads(path.read_text()) for path in (*run.rglob("result.json"), *run.rglob("audit.json"))]
    return any(report["failures"] for report in reports) or any(map(_has_content, run.rglob("failures.jsonl")))


def _has_content(path: Path) -> bool:
    return path.stat().st_size > 0


def _compared(run: Path, expected: Callable[[], Any], manners: Sequence[str]) -> Callable[[Ended], str]:
    """Whether a command ended well, named no failure, and made other numbers than an undisturbed one."""

    def silent(end: Ended) -> str:
        if end.status or BYTES_DIFFER & set(manners) or _NAMED.search(end.output) or _failures(run):
            return ""
        made = _made(run)
        return "" if made == expected() else f"other numbers, and no failure named: {end.output[-200:]!r}"

    return silent
