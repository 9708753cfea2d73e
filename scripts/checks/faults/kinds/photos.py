"""Kinds of the campaign: folders of photos with hostile pictures, names and entries, and encoders that do harm."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from scripts.checks.faults.campaign import Case, Kind
from scripts.checks.faults.machines import PLANTED
from scripts.checks.faults.pictures import picture
from scripts.checks.faults.processes import Ended
from scripts.checks.faults.world import MODELS, World, erase, plan, score, scores_of

NAMES = (
    b"caf\xe9.jpg", b"\xff\xfe.jpg", "\u2764\ufe0f.jpg".encode(), "soft\u00adhyphen.jpg".encode(), b"\x1b[31mred.jpg",
    b"line\nbreak.jpg", b"a" * 240 + b".jpg", b"-rf.jpg", b"*.jpg", b"%s%n.jpg", "\u202egpj.exe.jpg".encode(), b" .jpg",
    b"A.JPG", b"a.jpg", b"$(id).jpg", b"?label=x&a.jpg", b"#1.jpg", b"a|b.jpg", b"<script>.jpg", b"'; DROP.jpg",
    "e\u0301.jpg".encode(), "\u00e9.jpg".encode(), b"..jpg", b"con.jpg", "\u3164.jpg".encode(), b"%2e%2e%2f.jpg",
)  # fmt: skip
"""Names of photos."""

_FOLDER_COMMANDS: Mapping[str, tuple[Callable[[Path], list[str]], float]] = {
    "score": (lambda run: score(f"folder:{run / 'photos'}", run, "--min-usable", "0.3"), 2.0),
    "audit": (lambda run: ["audit", f"folder:{run / 'photos'}", "-o", str(run / "audit"), "--pixels", "60"], 3.0),
    "audit --near-duplicates": (
        lambda run: ["audit", f"folder:{run / 'photos'}", "-o", str(run / "audit"), "--near-duplicates"],
        2.0,
    ),
    "erase": (lambda run: erase(f"folder:{run / 'photos'}", run, "--min-usable", "0.3"), 0.3),
    "plan": (lambda run: plan(str(run / "photos"), run), 2.0),
    "audit exif-folder": (lambda run: ["audit", f"exif-folder:{run / 'photos'}", "-o", str(run / "audit")], 1.0),
    "build folder": (
        lambda run: [
            *("build", "folder", "--data", str(run / "photos"), "--parameter", "jpeg", "--workers", "1"),
            *("--output", str(run / "set")),
        ],
        3.0,
    ),
}


def kinds_of_photos() -> Iterator[Kind]:
    """Folders of photos through every command that reads them."""
    for command, (argv, share) in _FOLDER_COMMANDS.items():
        yield Kind(command, "hostile pictures", _with(argv, _add_pictures), 5 * share)
        yield Kind(command, "hostile names", _with(argv, _add_names), 2 * share)
        yield Kind(command, "entries that are no files", _with(argv, _add_entries), share)
        yield Kind(command, "photos in part unreadable", _with(argv, _spoil_photos), share)
    yield Kind("pipeline", "hostile picture", _pipeline, 10.0)


def _with(
    argv: Callable[[Path], list[str]], add: Callable[[Path, random.Random], int]
) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        shutil.copytree(world.photos, run / "photos")
        inputs = add(run / "photos", random_)
        files = _pictures(run / "photos")
        return Case(argv(run), inputs, silent=lambda end: _lost(run, files, end))

    return make


def _pictures(folder: Path) -> int:
    """Regular files with the suffix of a photo, and links to some, in class folders."""
    return sum(path.is_file() for path in folder.rglob("*") if path.suffix.lower() == ".jpg" and path.name[0] != ".")


def _lost(run: Path, files: int, end: Ended) -> str:
    """Whether photos are neither counted nor named."""
    if end.status:
        return ""
    result, build = run / "out" / "result.json", run / "set" / "build.json"
    if result.is_file():
        counted = sum(json.loads(result.read_text())["data"]["photos"].values())
        return f"{counted} photos of {files} files: {end.output[-200:]}" if counted < files else ""
    if build.is_file():
        text = (run / "set" / "build.json").read_text()
        facts = json.loads(text)
        rows = [n for counts in facts.get("rows", {}).values() for n in counts.values()] if "rows" in facts else []
        return f"{sum(rows)} rows of {files} files" if rows and sum(rows) < files and "failures" not in text else ""
    audit = run / "audit" / "audit.json"
    if audit.is_file():
        facts = json.loads(audit.read_text())
        by_exif = int(facts["evidence"].get("files", 0))  # of which those of enough photos a class are taken
        counted = max(facts["photos"] + facts["unreadable"] + facts["unlabelled"], by_exif)
        return f"{counted} photos of {files} files" if counted < files else ""
    return ""


def _place(folder: Path, random_: random.Random) -> Path:
    return folder / random_.choice(("train", "val")) / random_.choice(("cat", "dog"))


def _add_pictures(folder: Path, random_: random.Random) -> int:
    count = random_.randint(8, 48)
    for i in range(count):
        (_place(folder, random_) / f"x{i}.jpg").write_bytes(picture(random_)[1])
    return count


def _add_names(folder: Path, random_: random.Random) -> int:
    names = random_.sample(NAMES, random_.randint(4, 24))
    good = next(folder.rglob("*.jpg")).read_bytes()
    for i, name in enumerate(names):
        path = os.path.join(os.fsencode(_place(folder, random_)), name)
        with open(path, "wb") as stream:
            stream.write(good + bytes([i]))
    if random_.random() < 0.3:  # a class
        for split in ("train", "val"):
            place = os.path.join(os.fsencode(folder / split), random_.choice(NAMES)[:-4] or b"x")
            os.makedirs(place, exist_ok=True)
            for i in range(3):
                with open(os.path.join(place, b"%d.jpg" % i), "wb") as stream:
                    stream.write(good + bytes([i, 7]))
    return len(names)


def _add_entries(folder: Path, random_: random.Random) -> int:
    count = random_.randint(1, 4)
    for i in range(count):
        path = _place(folder, random_) / f"x{i}.jpg"
        how = random_.randrange(8)
        if how == 0:
            os.mkfifo(path)
        elif how < 6:
            path.symlink_to(("/dev/zero", "/etc/passwd", "nowhere", path.name, "../..")[how - 1])
        elif how == 6:
            path.mkdir()
        else:
            with open(path, "wb") as stream:
                stream.truncate(5 << 30)
    return count


def _spoil_photos(folder: Path, random_: random.Random) -> int:
    photos = random_.sample(sorted(folder.rglob("*.jpg")), random_.randint(2, 14))
    for path in photos:
        data = path.read_bytes()
        path.write_bytes(random_.choice((b"", data[: random_.randrange(len(data))], bytes(200), data[:2] + data[4:])))
    return len(photos)


def _pipeline(random_: random.Random, run: Path, world: World) -> Case:
    (run / "x.jpg").write_bytes(picture(random_)[1])
    return Case(["pipeline", str(world.folder / "texts" / "pipeline.toml"), "--photo", str(run / "x.jpg")])


# ---- encoders


_ENCODER = """import atexit, builtins, ctypes, gc, io, json, os, resource
import signal, socket, subprocess, sys, threading, time
import numpy as np
calls = 0
class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")
def harm(image, vector):
    {harm}
    return vector
{at_import}
def encode(image):
    global calls
    calls += 1
    pixels = np.asarray(image, dtype=np.float32)
    vector = np.r_[pixels.mean((0, 1)), pixels.std((0, 1))]
    return harm(image, vector) if calls >= {first} else vector
{key}
"""

RAISES = (
    "raise ValueError('no')", "raise ValueError('\\x1b[31m' + 'x' * 100000)", "raise GeneratorExit",
    "raise SystemExit(0)",
    "raise SystemExit('bye')", "raise KeyboardInterrupt", "raise MemoryError", "raise StopIteration", "raise Odd",
    "raise BaseException('a')", "sys.exit(0)", "os._exit(0)", "os._exit(7)", "exit()", "raise EOFError", "1 / 0",
    "raise OSError(28, 'No space left on device')", "raise BrokenPipeError", "raise ImportError(name='torch')",
    "raise ModuleNotFoundError('No module named x', name='x')", "raise RecursionError", "raise UnicodeError('\\ud800')",
    f"raise ValueError('https://me:{PLANTED}z@a.org/?token={PLANTED}')", "raise BrokenPipeError(32, 'x', 'y')",
    "raise type('CamtraceError', (Exception,), {{}})('x')", "return (i for i in range(6))", "assert False",
)  # fmt: skip
"""An encoder raises, or ends the process."""

ANSWERS = (
    "return vector[:3]", "return np.r_[vector, vector]", "return vector * np.nan", "return vector * np.inf",
    "return vector.astype(complex)", "return 'text'", "return None", "return [object()]", "return np.array(['a'] * 6)",
    "return vector[None]", "return vector[:0]", "return 5", "return {{}}", "return [[1], [1, 2]]",
    "return vector * 1e38",
    "return np.random.rand(6)", "return vector * 0", "return [10**400] * 6", "return np.ma.masked_all(6)",
    "return memoryview(b'abc')", "return np.zeros(6, 'datetime64[s]')", "return vector.astype('f2') * 1e5",
)  # fmt: skip
"""An encoder answers what is no vector of its length."""

CHANGES = (
    "os.chdir('/')", "os.close(1)", "os.close(2)", "sys.stdout.close()", "sys.stderr.close()", "sys.stdout = None",
    "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
    "threading.Thread(target=time.sleep, args=(600,)).start()", "os.fork()",
    "os.fork() or time.sleep(600)",
    "subprocess.Popen(['sleep', '600'])", "image.putdata([0] * (image.width * image.height))",
    "image.thumbnail((2, 2))",
    "image.close()", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal.alarm(1)", "os.umask(0o777)",
    "sys.setrecursionlimit(80)", "np.seterr(all='raise')", "os.environ.clear()", "gc.disable()",
    "import torch; torch.set_default_dtype(torch.float64)", "import torch; torch.manual_seed(0)",
    "import warnings; warnings.simplefilter('error')", "atexit.register(os._exit, 3)", "atexit.register(sys.exit, 3)",
    "print('x')", "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))", "sys.settrace(lambda *a: None)",
    "np.random.seed(0)", "locals", "sys.modules.pop('json')", "time.sleep(0.01)", "sys.stdin.read()", "os.setsid",
    "os.kill(os.getpid(), signal.SIGINT)", "os.kill(os.getpid(), signal.SIGTERM)", "os.closerange(3, 200)",
    "signal.setitimer(signal.ITIMER_REAL, 0.5)", "threading.excepthook = None", "sys.excepthook = None",
)  # fmt: skip
"""An encoder changes something of the process, and goes on."""


CRASHES = (
    "import ctypes; ctypes.string_at(0)", "os.abort()", "import ctypes; ctypes.CDLL(None).exit(0)",
    "import ctypes; ctypes.CDLL(None)._exit(3)", "os.kill(os.getpid(), signal.SIGSEGV)",
    "os.kill(os.getpid(), signal.SIGFPE)",
    "import ctypes; ctypes.memset(0, 0, 99)",
)  # fmt: skip
"""An encoder ends the process, and Python cannot help it."""


def kinds_of_encoders() -> Iterator[Kind]:
    """Encoders that do harm, beside an honest one."""
    kinds = {
        "raises or ends the process": RAISES,
        "answers no vector": ANSWERS,
        "changes the process": CHANGES,
        "ends the process in compiled code": CRASHES,
    }
    for command, share in (("score", 1.0), ("sweep", 3.0)):
        for what, harms in kinds.items():
            yield Kind(command, f"an encoder that {what}", _encoder(command, harms), share, False, True)
    for what, harms in kinds.items():
        yield Kind("erase", f"an encoder that {what}", _erasing(harms), 0.3, False, True)


def _encoder(command: str, harms: Sequence[str]) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        chosen = random_.sample(harms, 1 if command == "score" else random_.choice((2, 4, 6)))
        models = []
        for number, harm in enumerate(chosen):
            (run / f"hostile_{number}.py").write_text(_code(harm, random_), errors="surrogatepass")
            models.append(f"hostile_{number}:encode")
        models.insert(0 if random_.random() < 0.3 else random_.randint(0, len(models)), MODELS[1])
        honest = world.folder / "swept" / "out" / "control-jpeg-statistics" / "folder-photos" / "result.json"
        workers = ["--workers", random_.choice("002")]  # the last one of an option counts
        argv = [*score(f"folder:{world.photos}", run, models=models, command=command), *workers]
        return Case(
            argv,
            len(chosen),
            silent=lambda end: _disturbed(run, honest, "; ".join(chosen), end),
            statuses=_statuses(chosen),
            supervised=True,
        )

    return make


def _erasing(harms: Sequence[str]) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        harm = random_.choice(harms)
        (run / "hostile_0.py").write_text(_code(harm, random_), errors="surrogatepass")
        argv = erase(f"folder:{world.photos}", run, model="hostile_0:encode")
        return Case(argv, statuses=_statuses([harm]), supervised=True)

    return make


def _statuses(harms: Sequence[str]) -> Sequence[int]:
    """How a command may end beside these."""
    signals = any(word in harm for harm in harms for word in ("signal.", "SIG", "KeyboardInterrupt"))
    return (0, 1, 2, 130, 142, 143) if signals else (0, 1, 2)


def _code(harm: str, random_: random.Random) -> str:
    when = random_.choice(("import", 1, 1, 2, 5, 30, 90))
    return _ENCODER.format(
        harm=harm.format(),
        at_import="harm(None, np.zeros(6))" if when == "import" else "",
        first=10**9 if when == "import" else when,
        key=f"encode.cache_key = {harm!r}" if random_.random() < 0.5 else "",
    )


def _disturbed(run: Path, honest: Path, harm: str, end: Ended) -> str:
    """Whether the honest encoder has other scores, or none."""
    results = list((run / "out").glob("control-jpeg-statistics/**/result.json"))
    if end.status < 0 or end.status >= 128:
        return ""
    if not results:
        return f"the honest encoder has no result after {harm!r}: {end.output[-300:]!r}"
    if scores_of(results[0]) != scores_of(honest):
        return f"the honest encoder has other scores after {harm!r}"
    return ""
