"""Kinds of the campaign: what the Hub and Flickr answer, through a proxy that changes answers."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts.checks.faults.campaign import Case, Kind, closed_port
from scripts.checks.faults.kinds.proxy import MANNERS, ChangingProxy
from scripts.checks.faults.machines import PLANTED
from scripts.checks.faults.mutations import flipped
from scripts.checks.faults.pictures import picture
from scripts.checks.faults.world import World, erase, move_addresses, plan, score
from tests.support.hub import OWNER_TOKEN

RESULTS, PHOTOS = "owner/world-results", "owner/world-photos"


class FailingProxy:
    """A proxy of the environment that demands a password, breaks off, or answers nonsense."""

    ANSWERS: Mapping[str, bytes] = {
        "demands a password": b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b"Proxy-Authenticate: Basic realm=x\x1b[3m\r\nContent-Length: 2\r\n\r\nno",
        "hangs up": b"",
        "breaks off": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
        "breaks off within the headers": b"HTTP/1.1 200 OK\r\nConte",
        "is no proxy": b"220 mail.invalid ESMTP\x1b[31m\r\n",
        "has no way to the Hub": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        "forbids it": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nforbid",
    }

    def __init__(self) -> None:
        self.answer = b""
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    self.request.recv(65536)
                    self.request.sendall(outer.answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.port = int(self._server.server_address[1])


def _behind(
    proxy: FailingProxy, argv: Callable[[Path, World], list[str]]
) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        how = random_.choice([*FailingProxy.ANSWERS, "is not there"])
        port = closed_port() if how == "is not there" else proxy.port
        hub, where = random_.choice(("http", "https")), f"http://me:{PLANTED}3@127.0.0.1:{port}"

        def prepare() -> None:
            os.environ.update(dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), where))
            use_hub(f"{hub}://hub.invalid")

        def begin() -> None:
            proxy.answer = FailingProxy.ANSWERS.get(how, b"")

        return Case(argv(run, world), prepare=prepare, begin=begin)

    return make


def use_hub(url: str) -> None:
    """In this process the Hub is at an address, however early clients read it."""
    import datasets.config
    from huggingface_hub import constants

    constants.ENDPOINT = os.environ["HF_ENDPOINT"] = datasets.config.HF_ENDPOINT = url
    constants.HUGGINGFACE_CO_URL_TEMPLATE = url + "/{repo_id}/resolve/{revision}/{filename}"
    datasets.config.HUB_DATASETS_URL = url + "/datasets/{repo_id}/resolve/{revision}/{path}"


def _publish(run: Path, world: World) -> list[str]:
    return ["publish", str(world.folder / "swept" / "out"), "--repo", f"owner/new-{run.parent.name}", "--push"]


def _publish_build(run: Path, world: World) -> list[str]:
    return [
        "build",
        "publish",
        str(world.folder / "built" / "built"),
        "--repo",
        f"owner/set-{run.parent.name}",
        "--push",
    ]


COMMANDS: Mapping[str, tuple[Callable[[Path, World], list[str]], float]] = {
    "verify": (lambda run, world: ["verify", RESULTS], 2.0),
    "leaderboard": (lambda run, world: ["leaderboard", RESULTS, "-o", str(run / "site")], 1.0),
    "publish --push": (_publish, 2.0),
    "build publish --push": (_publish_build, 2.0),
    "score": (lambda run, world: score(f"hub:{PHOTOS}?label=label", run), 1.0),
    "audit": (lambda run, world: ["audit", f"hub:{PHOTOS}?label=label", "-o", str(run / "audit")], 1.0),
    "score --model": (lambda run, world: score(f"folder:{world.photos}", run, models=("owner/network",)), 1.0),
    "score --eraser": (lambda run, world: score(f"folder:{world.photos}", run, "--eraser", "owner/eraser"), 1.0),
    "erase": (lambda run, world: erase(f"hub:{PHOTOS}?label=label", run), 0.3),
    "plan": (lambda run, world: plan(f"hub:{PHOTOS}?label=label", run), 1.0),
    "build folder": (
        lambda run, world: [
            *("build", "folder", "--data", f"hub:{PHOTOS}?label=label", "--parameter", "jpeg", "--workers", "1"),
            *("--output", str(run / "set")),
        ],
        1.0,
    ),
}
"""Commands that talk to the Hub."""

ADDRESSES: Mapping[str, Callable[[], str]] = {
    "no such host": lambda: f"http://me:{PLANTED}1@no-such-host.invalid",
    "nobody listens": lambda: f"http://127.0.0.1:{closed_port()}?token={PLANTED}2",
    "TLS to a server without": lambda: "https://127.0.0.1:{port}",
    "no address": lambda: "ht!tp://[x",
}


@contextmanager
def kinds_of_answers(world: World) -> Iterator[list[Kind]]:
    """Services whose answers are changed, addresses without a service, and hostile data sets of the Hub."""
    fill_hub(world)
    proxy, failing = ChangingProxy(), FailingProxy()
    kinds = []
    for command, (argv, share) in COMMANDS.items():
        kinds.append(
            Kind(command, "changed answers of the Hub", _changed(proxy, argv, MANNERS), 1.5 * share, False, True)
        )
        kinds.append(Kind(command, "no connection to the Hub", _without(argv), share / 3, False, True))
        kinds.append(Kind(command, "a proxy that fails", _behind(failing, argv), share / 3, False, True))
    readers = ("score", "audit", "build folder", "erase", "plan")
    kinds += [
        Kind(name, "hostile data set of the Hub", _hostile_set(COMMANDS[name][0]), 2.0 * COMMANDS[name][1])
        for name in readers
    ]
    for step, made in (("search", world.search), ("fetch", world.fetch)):
        kinds.append(
            Kind(f"flickrexif {step}", "changed answers of Flickr", _flickr(proxy, step, made), 1.5, False, True)
        )
    yield kinds


def fill_hub(world: World) -> None:
    """Repositories of results, photos, an eraser, and a network that cannot be loaded."""
    results = world.folder / "swept" / "out"
    files = {f"results/{p.relative_to(results)}": p.read_bytes() for p in results.rglob("result.json")}
    fill_repo(world, RESULTS, files)
    fill_repo(world, PHOTOS, {"README.md": b"---\nlicense: cc0-1.0\n---\n", **_parquet(world)})
    eraser = world.folder / "erased" / "eraser"
    fill_repo(world, "owner/eraser", {p.name: p.read_bytes() for p in eraser.iterdir() if p.is_file()}, "model")
    fill_repo(world, "owner/network", {"config.json": b'{"model_type": "vit", "architectures": ["ViTModel"]}'}, "model")


def fill_repo(world: World, name: str, files: Mapping[str, bytes], kind: str = "dataset") -> None:
    """Commit files to a new repository of the double."""
    repo = world.hub.create(name, kind)
    repo.commit({**repo.files, **files}, "files")


def rows_of(world: World) -> list[dict[str, Any]]:
    """The photos as rows of a data set of the Hub."""
    return [
        {"image": {"bytes": path.read_bytes(), "path": path.name}, "label": path.parent.name}
        for path in sorted(world.photos.rglob("*.jpg"))
    ]


def parquet_of(rows: Sequence[Mapping[str, Any]], **how: Any) -> bytes:
    """Rows as a file whose metadata say which column has images, as those that ``datasets`` writes."""
    import datasets
    import pyarrow
    import pyarrow.parquet

    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    buffer = io.BytesIO()
    table = pyarrow.Table.from_pylist(list(rows), schema=features.arrow_schema)
    pyarrow.parquet.write_table(table, buffer, **how)
    return buffer.getvalue()


def _parquet(world: World, change: Callable[[list[dict[str, Any]]], object] = lambda rows: None) -> dict[str, bytes]:
    rows = rows_of(world)
    change(rows)
    return {"data/train-00000-of-00001.parquet": parquet_of(rows)}


def _changed(
    proxy: ChangingProxy, argv: Callable[[Path, World], list[str]], manners: Sequence[str]
) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        chosen = random_.sample(manners, random_.choice((1, 1, 3)))
        share, seed = random_.choice((0.05, 0.3, 1.0)), random_.randrange(1 << 30)
        return Case(
            argv(run, world),
            prepare=lambda: use_hub(proxy.url),
            begin=lambda: proxy.begin(world.hub.url, chosen, share, seed),
        )

    return make


def _without(argv: Callable[[Path, World], list[str]]) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        url = random_.choice(list(ADDRESSES.values()))().format(port=urlsplit(world.hub.url).port)
        return Case(argv(run, world), prepare=lambda: use_hub(url))

    return make


def _hostile_set(argv: Callable[[Path, World], list[str]]) -> Callable[[random.Random, Path, World], Case]:
    """A data set whose card, table or rows are hostile, as a folder of this machine that ``load_dataset`` reads."""

    def make(random_: random.Random, run: Path, world: World) -> Case:
        def change(rows: list[dict[str, Any]]) -> None:
            for row in random_.sample(rows, random_.randint(1, 6)):
                row.update(random_.choice(_ROWS)(random_))

        files = {"README.md": b"---\nlicense: cc0-1.0\n---\n"}
        if random_.random() < 0.6:
            files |= _parquet(world, change)
        else:
            files |= _parquet(world)
            files["README.md"] = random_.choice(_CARDS).encode()
        if random_.random() < 0.2:
            name = "data/train-00000-of-00001.parquet"
            files[name] = flipped(files[name], random_)
        for name, data in files.items():
            (run / "set-of-hub" / name).parent.mkdir(parents=True, exist_ok=True)
            (run / "set-of-hub" / name).write_bytes(data)
        words = [word.replace(PHOTOS, str(run / "set-of-hub")) for word in argv(run, world)]
        return Case(words)

    return make


_ROWS: Sequence[Callable[[random.Random], dict[str, object]]] = (
    lambda random_: {"image": {"bytes": None, "path": "/etc/passwd"}},
    lambda random_: {"image": {"bytes": None, "path": "../../../etc/passwd"}},
    lambda random_: {"image": {"bytes": b"", "path": ""}},
    lambda random_: {"image": {"bytes": picture(random_)[1], "path": "x\x1b[31m.jpg"}},
    lambda random_: {"image": {"bytes": picture(random_)[1], "path": "x.jpg"}},
    lambda random_: {"image": None},
    lambda random_: {"label": None},
    lambda random_: {"label": "\u202e\x00\u3164"},
    lambda random_: {"label": "x" * 100_000},
    lambda random_: {"image": {"bytes": None, "path": "https://example.invalid/x.jpg"}},
)
"""What a row may be replaced by."""

_CARDS: Sequence[str] = (
    "---\nconfigs:\n- config_name: default\n  data_files: '../../../etc/*'\n---\n",
    "---\nconfigs:\n- config_name: default\n  data_files: 'https://example.invalid/x.parquet'\n---\n",
    "---\nconfigs:\n- config_name: default\n  data_files: '/etc/passwd'\n---\n",
    "---\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n---\n",
    "---\ndataset_info:\n  features:\n  - name: image\n    dtype: int64\n---\n",
    "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names: {'0': a}\n---\n",
    "---\nconfigs: 5\n---\n", "---\n" + "a: [" * 2000 + "\n---\n", "---\n\x00\n---\n",
    "---\nlicense: !!python/object:os.x {}\n",
    "\ufeff---\nconfigs:\n- config_name: ../x\n  data_files: data/*\n---\n", "---\n- 1\n- 2\n---\n",
    "---\ndataset_info: []\n---\n",
)  # fmt: skip


def _flickr(
    proxy: ChangingProxy, step: str, argv: Callable[[Path], list[str]]
) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        if step == "fetch":
            shutil.copytree(world.folder / "searched" / "state", run / "state")
        manners = random_.sample(MANNERS, random_.choice((1, 1, 3)))
        share, seed = random_.choice((0.05, 0.3, 1.0)), random_.randrange(1 << 30)
        words = [word.replace(world.flickr.base, proxy.url) for word in argv(run / "state")]
        if step == "fetch":
            move_addresses(run / "state", world.flickr.base, proxy.url)
        return Case(
            [*words, "--attempts", "2", "--timeout", "5"],
            begin=lambda: proxy.begin(world.flickr.base, manners, share, seed),
        )

    return make


__all__ = ("OWNER_TOKEN", "kinds_of_answers")
