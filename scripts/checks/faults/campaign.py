"""The campaign: thousands of hostile inputs through every command, each in a fork of this process.

A kind of input draws a case from a seed. ``--number N`` repeats case N of a seed alone. Counted as wrong are
tracebacks, hangs, signals, other exit statuses than 0, 1 and 2, a failure without a sentence, ESC in the output, a
secret in output, files or arguments of processes, a file written elsewhere, a connection to another machine,
processes that stay, and what the kind itself checks: mostly a number that changed in silence.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.checks.faults.interrupt import Tally
from scripts.checks.faults.machines import FAULTS, PLANTED, PLANTED_VARIABLES, USED_SECRETS
from scripts.checks.faults.processes import HANG, Ended, Run, run_in_turn
from scripts.checks.faults.world import MOST_BYTES, World

LIMIT_S = 600.0
"""Longest time of a case by the clock, on a busy machine."""

TOGETHER = 24
"""Cases that one fork of this process runs in turn."""

SLOW_S = 30.0
"""Cases that take longer are named on standard error."""

FAULTY = 0.05
"""Share of the cases whose machine is broken, too."""


@dataclass(frozen=True)
class Case:
    """One run of a command on hostile input."""

    argv: Sequence[str]
    inputs: int = 1
    """Hostile files, names or answers in it."""
    silent: Callable[[Ended], str] = lambda end: ""
    """What is wrong although the command reported nothing, as a clause; else empty."""
    prepare: Callable[[], object] = lambda: None
    """Called in the child before the command."""
    statuses: Sequence[int] = (0, 1, 2)
    begin: Callable[[], object] = lambda: None
    """Called in this process before the command, of kinds that are run alone."""
    supervised: bool = False
    """Whether a process of its own does the command, as where ``camtrace`` is started; of kinds that are run alone."""
    counted: Callable[[], int] = lambda: 0
    """Inputs that are known only after the command, such as changed answers; of kinds that are run alone."""


@dataclass(frozen=True)
class Kind:
    """Cases of one kind."""

    command: str
    what: str
    make: Callable[[random.Random, Path, World], Case]
    """Called with a generator, the new folder of the run, and the inputs that may be copied."""
    share: float = 1.0
    """Of the cases, relative to that of other kinds."""
    breakable: bool = True
    """Whether the machine may be broken, too."""
    alone: bool = False
    """Whether each case needs a process of its own: it changes the process, or a service as it is made."""

    @property
    def name(self) -> str:
        return f"{self.command}: {self.what}"


def campaign(
    kinds: Sequence[Kind],
    world: World,
    scratch: Path,
    count: int,
    seed: int,
    *,
    first: int = 0,
    only: int | None = None,
    seconds: float = 1e9,
    save: Callable[[Tally], object] = lambda part: None,
) -> Tally:
    """Run cases of all kinds.

    Args:
        kinds: of cases.
        world: inputs.
        scratch: folder for the runs.
        count: of cases.
        seed: of everything that is drawn.
        first: number of the first case.
        only: run this case alone.
        seconds: after so many no further case begins.
        save: called with the counts of every few cases.
    """
    whole, before = Tally(), snapshot(world.folder)
    numbers = list(range(first, first + count)) if only is None else [only]
    end = time.monotonic() + seconds
    for start in range(0, len(numbers), TOGETHER):
        if time.monotonic() > end:
            break
        tally = Tally()
        cases = [_DrawnCase.of(kinds, world, scratch, seed, number) for number in numbers[start : start + TOGETHER]]
        for alone in (False, True):
            chosen = [drawn for drawn in cases if drawn.alone == alone]
            for part in [[drawn] for drawn in chosen] if alone else [chosen]:
                for drawn in part:
                    drawn.case.begin()
                titles: set[bytes] = set()
                ends = run_in_turn([drawn.run(world) for drawn in part], LIMIT_S, titles.add)
                if any(secret.encode() in title for title in titles for secret in (PLANTED, *USED_SECRETS)):
                    tally.wrong.append(f"{part[0].kind.name}: a secret in the command line of a process")
                for drawn, ended in zip(part, ends, strict=True):
                    tally.tried[drawn.kind.name] += drawn.check(ended, tally, show=only is not None)
        shutil.rmtree(scratch)
        save(tally)
        whole.add(tally)
        whole.print_progress(start + len(cases), f"cases, {whole.tried.total()} inputs")
    if snapshot(world.folder) != before:
        whole.wrong.append("an input that several cases read was changed")
    return whole


@dataclass(frozen=True)
class _DrawnCase:
    """A case that is ready to be run."""

    kind: Kind
    case: Case
    folder: Path
    number: int
    seed: int
    fault: str

    @classmethod
    def of(cls, kinds: Sequence[Kind], world: World, scratch: Path, seed: int, number: int) -> _DrawnCase:
        kind = kinds[number] if number < len(kinds) else _drawn(kinds, seed, number)
        random_ = random.Random(f"{seed} {number}")
        folder = scratch / f"case-{number}" / "run"
        folder.mkdir(parents=True)
        case = kind.make(random_, folder, world)
        fault = random_.choice(sorted(FAULTS)) if kind.breakable and random_.random() < FAULTY else ""
        return cls(kind, case, folder, number, seed, fault)

    @property
    def alone(self) -> bool:
        return bool(self.fault) or self.kind.alone

    @property
    def _reports(self) -> Path:
        return self.folder.parent.with_suffix(".reports")

    def run(self, world: World) -> Run:
        def prepare() -> None:
            os.chdir(self.folder)
            _plant(self.folder.parent / "home")
            watch(self._reports, (self.folder, *_caches()))
            self.case.prepare()
            if self.fault:
                FAULTS[self.fault](random.Random(self.number), self.folder, world.photos)

        log = self.folder.parent.with_suffix(".log")
        return Run(self.case.argv, self.folder, log, prepare, _watched.clear, self.case.supervised)

    def check(self, end: Ended, tally: Tally, *, show: bool) -> int:
        """Count what is wrong, and return the number of inputs."""
        broken = f", {self.fault}" if self.fault else ""
        where = f"{self.kind.name} (seed {self.seed}, number {self.number}){broken}"
        reports = self._reports.read_text(errors="replace").splitlines() if self._reports.exists() else []
        problems = [*_common(self.case, end, self.folder), *sorted(set(reports))]
        if not problems and not self.fault and (silent := self.case.silent(end)):
            problems.append(silent)
        for problem in problems:
            tally.wrong.append(f"{where}: {problem}")
            print(f"WRONG  {where}: {problem}", file=sys.stderr, flush=True)
        if end.seconds > SLOW_S:
            print(f"slow: {end.seconds:.0f} s  {where}", file=sys.stderr, flush=True)
        tally.outcomes[f"{self.kind.command}: status {end.status}"] += 1
        tally.processor_s[self.kind.name] += end.processor_s
        tally.cases[self.kind.name] += 1
        tally.outcomes[f"broken machine: {self.fault}" if self.fault else "sound machine"] += 1
        if show:
            print(f"{where}\n{' '.join(self.case.argv)}\nstatus {end.status}, {end.seconds:.1f} s\n{end.output}")
        return max(self.case.inputs, self.case.counted())


def _drawn(kinds: Sequence[Kind], seed: int, number: int) -> Kind:
    return random.Random(f"kind {seed} {number}").choices(kinds, [kind.share for kind in kinds])[0]


def _common(case: Case, end: Ended, folder: Path) -> list[str]:
    """What is wrong with any end of any command."""
    problems = []
    last = end.output.strip().splitlines()[-1:] or [""]
    if end.status == HANG:
        problems.append(f"hang: {end.output[-200:]!r}")
    elif end.traceback:
        problems.append(f"traceback: {last[0][:200]}")
    elif end.status not in case.statuses:
        problems.append(f"status {end.status}: {end.output[-200:]!r}")
    elif end.status and not end.output.strip():
        problems.append(f"status {end.status} without a word")
    if end.stayed:
        problems.append("a process stays")
    if any(character in end.output for character in "\x1b\x07\x9b\u202e"):
        problems.append("a control character in the output")
    places = [("output", end.output.encode(errors="replace"))]
    files = [path for path in _files(folder) if not path.name.startswith("hostile_")]  # which hold what they raise
    places += [(str(path.relative_to(folder)), _read(path)) for path in files]
    for place, text in places:
        if any(secret.encode() in text for secret in (PLANTED, *USED_SECRETS)):
            problems.append(f"a secret in {place}")
    extra = sorted({path.name for path in folder.parent.iterdir()} - {"run", "home"})
    if extra:
        problems.append(f"written beside its folder: {extra}")
    return problems


def _files(folder: Path) -> list[Path]:
    return [Path(top, name) for top, _, names in os.walk(folder) for name in names]


def _read(path: Path) -> bytes:
    try:
        return b"" if path.is_symlink() or path.stat().st_size > MOST_BYTES or not path.is_file() else path.read_bytes()
    except OSError:
        return b""


def _caches() -> list[Path]:
    """Folders outside the run that commands may write to: compiled kernels, shared memory, devices."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return [Path(base, "camtrace"), Path("/dev"), Path("/proc")]


def _plant(home: Path) -> None:
    """Secrets in every variable and file that can hold one."""
    from huggingface_hub import constants

    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # of compiled kernels
    files = {
        ".netrc": f"machine hub.invalid login me password {PLANTED}l\n",
        ".aws/credentials": f"[default]\naws_access_key_id = {PLANTED}m\naws_secret_access_key = {PLANTED}n\n",
        ".cache/huggingface/token": f"hf_{PLANTED}o",
        ".cache/huggingface/stored_tokens": f"[mine]\nhf_token = hf_{PLANTED}p\n",
        ".flickr/oauth-tokens.sqlite": f"{PLANTED}q",
        ".config/gcloud/application_default_credentials.json": f'{{"refresh_token": "{PLANTED}r"}}',
        ".git-credentials": f"https://me:{PLANTED}s@git.invalid\n",
        ".kaggle/kaggle.json": f'{{"username": "me", "key": "{PLANTED}t"}}',
        ".ssh/id_rsa": f"{PLANTED}u",
        ".aws/config": f"[default]\nregion = x\naws_session_token = {PLANTED}5\n",
        ".config/fsspec/conf.json": f'{{"s3": {{"key": "{PLANTED}6", "secret": "{PLANTED}7"}}}}',
        ".gitconfig": f'[url "https://me:{PLANTED}8@git.invalid/"]\n\tinsteadOf = https://git.invalid/\n',
        ".pypirc": f"[pypi]\nusername = __token__\npassword = {PLANTED}9\n",
        ".docker/config.json": f'{{"auths": {{"x.invalid": {{"auth": "{PLANTED}0"}}}}}}',
        ".pgpass": f"*:*:*:me:{PLANTED}A\n",
        "hf-token": f"hf_{PLANTED}B",
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.environ.update(
        PLANTED_VARIABLES,
        HOME=str(home),
        XDG_CACHE_HOME=cache,
        NETRC=str(home / ".netrc"),
        HF_TOKEN_PATH=str(home / "hf-token"),
        AWS_CONFIG_FILE=str(home / ".aws" / "config"),
        AWS_SHARED_CREDENTIALS_FILE=str(home / ".aws" / "credentials"),
        GOOGLE_APPLICATION_CREDENTIALS=str(home / ".config/gcloud/application_default_credentials.json"),
        HTTP_PROXY=f"http://me:{PLANTED}v@proxy.invalid:3128",
        ALL_PROXY=f"http://me:{PLANTED}w@proxy.invalid:3128",
        NO_PROXY="127.0.0.1,localhost",
    )
    constants.HF_TOKEN_PATH = str(home / ".cache" / "huggingface" / "token")
    constants.HF_STORED_TOKENS_PATH = str(home / ".cache" / "huggingface" / "stored_tokens")


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES: Mapping[str, tuple[int, int]] = {
    "os.mkdir": (0, 2), "os.remove": (0, 1), "os.rmdir": (0, 1), "os.rename": (1, 3), "os.link": (1, 3),
    "os.symlink": (1, 2), "os.truncate": (0, 9), "os.chmod": (0, 2), "shutil.rmtree": (0, 1), "sqlite3.connect": (0, 9),
}  # fmt: skip
"""Audit events that change files -> which argument names what is changed, and which the descriptor of its folder."""


_STARTS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"})
"""Audit events that start programs."""


def watch(reports: Path, allowed: Sequence[Path]) -> None:
    """Report what this process changes outside of folders, where it connects to, and secrets in arguments of processes.

    Args:
        reports: file to which a line is added for each.
        allowed: folders.
    """
    if _audit not in _hooks:
        _hooks.append(_audit)
        sys.addaudithook(_audit)
    _watched.update(roots=tuple(f"{os.path.realpath(path)}/" for path in allowed), reports=reports)


_hooks: list[Any] = []
_watched: dict[str, Any] = {}
"""Folders and the file of reports of this process; a hook cannot be removed."""


def _outside(path: Any, folder: Any = None) -> str:
    """The real path of what is not in the folders; else empty. It may be relative to a folder by its descriptor."""
    if isinstance(path, int) or not isinstance(path, str | bytes | os.PathLike):
        return ""
    name = os.fsdecode(os.fspath(path))
    if isinstance(folder, int) and folder >= 0 and not os.path.isabs(name):
        name = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
    if name.startswith(("file:", ":memory:")) or not name:
        return ""
    parent, base = os.path.split(os.path.abspath(name))
    real = os.path.join(os.path.realpath(parent), base)
    return "" if f"{real}/".startswith(_watched["roots"]) or real == str(_watched["reports"]) else real


def _report(line: str) -> None:
    with open(_watched["reports"], "ab") as stream:
        stream.write(line.encode(errors="backslashreplace").replace(b"\n", b" ")[:300] + b"\n")


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _watched:
        return
    if event == "open":
        path, mode, flags = args
        writes = bool((flags or 0) & _WRITING) if isinstance(flags, int) else any(c in (mode or "") for c in "wax+")
        if writes and (where := _outside(path)):
            _report(f"writes {where}")
    elif event in _CHANGES:
        at, of_folder = _CHANGES[event]
        if len(args) > at and (where := _outside(args[at], args[of_folder] if len(args) > of_folder else None)):
            _report(f"{event} of {where}")
    elif event == "socket.connect":
        address = args[1]
        if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
            _report(f"connects to {address[0]}")
    elif event in _STARTS and any(secret in repr(args[:2]) for secret in (PLANTED, *USED_SECRETS)):
        _report("a secret in the arguments of a process")


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file."""
    return {str(path): (os.lstat(path).st_size, os.lstat(path).st_mtime_ns) for path in _files(folder)}


def closed_port() -> int:
    """A port of this machine at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
