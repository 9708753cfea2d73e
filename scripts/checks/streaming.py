"""What ``--stream --limit`` fetches of a set of many shards: bytes, in a whole run, after a kill, and once more.

    python scripts/checks/streaming.py --shards 50 --rows 400 --kilobytes 20 --limit 2000

The set is served on loopback: as Parquet files by a double of the Hub that its real client talks to, and as tar shards
by a server of parts of files. Each run scores in a process of its own with an empty cache, or with what a run left that
was killed while it fetched photos. The status is 1 if a run fetches more than ``MOST`` times the photos that it scores,
if a copy of a shard stays, or if the killed and resumed run has other scores or fetches again what was stored.
"""

from __future__ import annotations

import argparse
import http.server
import io
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from scripts.speed.measure import child_environment
from scripts.speed.synthetic import jpeg
from tests.support.camera_sets import tarred
from tests.support.hub import HubDouble

MOST = {"hub": 1.25, "webdataset": 2.25}
"""Times the bytes of the scored photos. Tar shards are read once for their index and once for their photos."""

REPO = "made/shards"
CLASSES, GROUP_ROWS = 10, 100
AHEAD_PHOTOS = 1000
"""Photos that may be fetched, and not be stored yet, when a run is killed: row groups, and views made ahead."""

FOOTER_BYTES = 64 << 10
"""What is read of the end of each Parquet file."""


class Served(NamedTuple):
    """A set on loopback."""

    spec: str
    sent: Callable[[], int]
    """Bytes so far."""
    environment: Callable[[Path], dict[str, str]]
    """Of a client whose caches are in a folder."""


def main() -> int:
    """Print a line for each run; 1 if one is not as it should be."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shards", type=int, default=50)
    p.add_argument("--rows", type=int, default=400, help="photos of a shard")
    p.add_argument("--kilobytes", type=int, default=20, help="of a photo")
    p.add_argument("--limit", type=int, default=2000)
    p.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.child:
        return scored(*args.child, args.limit)
    photos = [made_photo(i, args.kilobytes * 1000) for i in range(args.shards * args.rows)]
    print(f"{args.shards} shards, {len(photos):,} photos, {sum(map(len, photos)) / 1e6:.0f} MB; --limit {args.limit:,}")
    good = [fetches_its_share("hub", on_hub, args, photos), fetches_its_share("webdataset", on_server, args, photos)]
    return 0 if all(good) else 1


def made_photo(number: int, size: int) -> bytes:
    """A small JPEG file with noise after its end, which decoders ignore."""
    rng = np.random.default_rng(number)
    picture = jpeg(Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((48, 48)))
    return picture + rng.bytes(max(0, size - len(picture)))


def fetches_its_share(kind: str, serve: Callable[..., object], args: argparse.Namespace, photos: list[bytes]) -> bool:
    """Four runs on one set: never stopped, killed, resumed, once more."""
    with tempfile.TemporaryDirectory(prefix="camtrace-stream-") as scratch, serve(photos, args.rows) as served:  # type: ignore[attr-defined]
        spec, sent, environment = served
        wanted = args.limit * args.kilobytes * 1000
        most = MOST[kind] * wanted + (args.shards * FOOTER_BYTES if kind == "hub" else 0)
        good = True

        def run(name: str, folder: Path, kill_at: float | None = None) -> tuple[int, dict[str, object]]:
            before = sent()
            words = [sys.executable, "-m", "scripts.checks.streaming", "--limit", str(args.limit)]
            words += ["--child", kind, spec, str(folder)]
            child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment(folder))
            while kill_at is not None and child.poll() is None and sent() - before < kill_at:
                time.sleep(0.02)
            if kill_at is not None:
                child.send_signal(signal.SIGKILL)
            output = child.communicate()[0]
            facts = json.loads(output.splitlines()[-1]) if child.returncode == 0 else {"status": child.returncode}
            fetched = sent() - before
            details = ", ".join(f"{name} {value}" for name, value in facts.items() if name != "scores")
            share = fetched / sum(map(len, photos))
            of_photos = f"{share:.1%} of the set, {fetched / wanted:.2f} of the scored photos"
            print(f"{kind}, {name}: {fetched / 1e6:.1f} MB fetched ({of_photos}); {details}", flush=True)
            return fetched, facts

        whole, first = run("never stopped", Path(scratch, "whole"))
        killed, _ = run("killed", Path(scratch, "stopped"), kill_at=0.7 * whole)
        rest, resumed = run("resumed", Path(scratch, "stopped"))
        again, last = run("once more", Path(scratch, "whole"))
        ahead = AHEAD_PHOTOS * args.kilobytes * 1000
        good &= whole <= most and killed + rest <= whole + ahead and again <= 0.1 * whole
        good &= first["scores"] == resumed["scores"] == last["scores"]
        copies = [path for path in Path(scratch).rglob("*") if path.suffix in (".arrow", ".tar")]
        large = [path for path in Path(scratch).rglob("*.parquet") if path.stat().st_size > FOOTER_BYTES]
        print(f"{kind}: {'as it should be' if good and not copies + large else 'NOT as it should be'}", flush=True)
        return bool(good and not copies + large)


def scored(kind: str, spec: str, folder: str, limit: str | int) -> int:
    """In a process of its own: one probe on the streamed photos."""
    from benchmark.bank import photo_hashes
    from benchmark.options import RunOptions
    from benchmark.scoring import open_limited, score_encoders
    from benchmark.tasks import all_tasks
    from builders.untrusted import ranges
    from scripts.speed.synthetic import projection

    photo_hashes.SAVED_EVERY_S = 0.2  # a run of seconds is killed here
    ranges.ALLOW_LOOPBACK = True  # the server of tars is this machine
    options = RunOptions(cache=Path(folder, "cache"), workers=2, resamples=1000, limit=int(limit), stream=True)
    photos = open_limited(spec, options)
    [one] = score_encoders([projection()], photos, [all_tasks()["probe/sharpening"]], options)
    assert not one.result.failures, one.result.failures[:3]
    scores = [[s.metric, s.value, s.low, s.high, s.n] for s in one.result.scores]
    read = photos.evidence.get("read") or photos.evidence["shards"]
    print(json.dumps({"status": 0, "photos": len(photos), "read": read, "processor s": round(time.process_time(), 1),
                      "scores": scores}))  # fmt: skip
    return 0


@contextmanager
def on_hub(photos: list[bytes], rows: int) -> Iterator[Served]:
    """The photos as Parquet files of a data set on the Hub."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"class {i}" for i in range(CLASSES)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    files, count = {}, len(photos) // rows
    for shard in range(count):
        numbers = range(shard * rows, (shard + 1) * rows)
        images = [{"bytes": photos[i], "path": f"{i}.jpg"} for i in numbers]
        table = pa.table({"image": images, "label": [i % CLASSES for i in numbers]}, schema=features.arrow_schema)
        content = io.BytesIO()
        pq.write_table(table, content, row_group_size=GROUP_ROWS)
        split = "validation" if shard % 5 == 4 else "train"
        files[f"data/{split}-{shard:05d}-of-{count:05d}.parquet"] = content.getvalue()
    with HubDouble() as hub:
        hub.create(REPO).commit(files, "made")

        def environment(folder: Path) -> dict[str, str]:
            variables = hub.environment(folder / "home")
            return {**child_environment({}), **variables, "CAMTRACE_CACHE": str(folder / "cache")}

        yield Served(f"hub:{REPO}", lambda: sum(hub.sent.values()), environment)


@contextmanager
def on_server(photos: list[bytes], rows: int) -> Iterator[Served]:
    """The photos as tar shards of a web server."""
    shards = {f"/{i:03d}.tar": tar_of(photos, range(i * rows, (i + 1) * rows)) for i in range(len(photos) // rows)}
    sent = [0]

    class Parts(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            data = shards[self.path]
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            part = data[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(data)}")
            self.send_header("ETag", f'"{self.path}"')
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)
            sent[0] += len(part)

        def log_message(self, *_: object) -> None:
            pass

    def environment(folder: Path) -> dict[str, str]:
        return {**child_environment({}), "CAMTRACE_CACHE": str(folder / "cache")}

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parts) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        spec = f"webdataset:http://127.0.0.1:{server.server_port}/{{000..{len(shards) - 1:03d}}}.tar"
        yield Served(spec, lambda: sent[0], environment)
        server.shutdown()


def tar_of(photos: list[bytes], numbers: range) -> bytes:
    """A tar with a picture and a class for each photo."""
    pairs = [{f"{i:07d}.jpg": photos[i], f"{i:07d}.cls": str(i % CLASSES).encode()} for i in numbers]
    return tarred({name: data for pair in pairs for name, data in pair.items()})


if __name__ == "__main__":
    sys.exit(main())
