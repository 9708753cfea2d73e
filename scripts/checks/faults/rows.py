"""What hostile input and broken machines did wrong once: one case a class, again, by the real command in a process."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image

from scripts.checks.faults.campaign import closed_port
from scripts.checks.faults.interrupt import Tally
from scripts.checks.faults.machines import PLANTED
from scripts.checks.faults.pictures import blp
from scripts.checks.faults.run_folder import ENCODERS, HONEST, RunFolder

Row = Callable[[RunFolder], str]
"""What is not as it must be; empty if all is well."""


def _expect(end: tuple[int, str], status: int, words: str) -> str:
    good = end[0] == status and words in end[1] and "Traceback" not in end[1]
    return "" if good else f"status {end[0]}, without {words!r}: {end[1][-300:]!r}"


def unlisted_folder(place: RunFolder) -> str:
    data = place.photos()
    (data / "train" / "cat").chmod(0)
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    prefix = prefix if os.geteuid() == 0 else []
    build = ("build", "folder", "--data", data, "--parameter", "jpeg", "--workers", "1", "--output", "set")
    ends = {
        "score": place.score(f"folder:{data}", "unlisted", prefix=prefix),
        "audit": place.run("audit", f"folder:{data}", "-o", "audit", prefix=prefix),
        "build": place.run(*build, prefix=prefix),
    }
    (data / "train" / "cat").chmod(0o755)
    reasons = {name: _expect(end, 2, "cat: the folder cannot be listed") for name, end in ends.items()}
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)


def encoder_of_few_photos(place: RunFolder) -> str:
    end = place.score(f"folder:{place.photos()}", "few", models=("encoders:fails", HONEST), command="sweep")
    return _expect(end, 1, "which can be read") or _state(place, "few", "encoders:fails")


def _state(place: RunFolder, name: str, spec: str, state: str = "failed") -> str:
    rows = json.loads((place.folder / name / "sweep.json").read_text())["rows"]
    states = {row["spec"]: row["state"] for row in rows}
    good = states[spec] == state and states[HONEST] in ("scored", "kept")
    return "" if good else f"rows {states}"


def other_pixels(place: RunFolder) -> str:
    data = place.photos()
    place.score(f"folder:{data}", "before")
    photo = next((data / "train" / "cat").iterdir())
    status, content = photo.stat(), bytearray(photo.read_bytes())
    content[-40] ^= 1
    photo.write_bytes(content)
    os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))
    place.score(f"folder:{data}", "after")
    hashes = [place.result(name)["data"]["bytes_hash"] for name in ("before", "after")]
    return "" if hashes[0] != hashes[1] else "the hash of the bytes is that of other bytes"


def escaped_names(place: RunFolder) -> str:
    folder = place.folder / "named"
    folder.mkdir()
    names = [*(b"%d.jpg" % i for i in range(12)), *(f"\u2764\ufe0f{i}.jpg".encode() for i in range(4))]
    names += [*(f"soft\u00ad{i}.jpg".encode() for i in range(4)), *(b"caf\xe9%d.jpg" % i for i in range(4))]
    for i, name in enumerate(names):
        tags = Image.Exif()
        tags[0x010F], tags[0x0110] = ("NIKON", "Canon")[i % 2], f"EOS {i % 2}"
        with open(os.path.join(os.fsencode(folder), name), "wb") as stream:
            Image.effect_noise((64, 48), 50 + i).convert("RGB").save(stream, "JPEG", exif=tags)
    plain = place.folder / "plain"
    plain.mkdir()
    for i, name in enumerate(sorted(os.listdir(folder))):
        shutil.copy(folder / name, plain / f"{i}.jpg")
    counts = []
    for data in (folder, plain):
        end = place.run("audit", f"exif-folder:{data}?min-photos=3", "--label", "make", "-o", place.folder / "a4")
        facts = json.loads((place.folder / "a4" / "audit.json").read_text())
        counts.append((facts["evidence"]["files"], facts["photos"]))
    same = counts[0] == counts[1] and counts[0][0] == "24"  # splits of equal classes take 22 of them
    return _expect(end, 0, "") or ("" if same else f"files and photos: {counts}")


def heif_brands(place: RunFolder) -> str:
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(buffer, "HEIF")
    data, ends = buffer.getvalue(), set()
    for brand in (b"heic", b"hevm", b"hevs"):
        (place.folder / "x.heic").write_bytes(data[:8] + brand + data[12:])
        ends.add(place.run("pipeline", "web", "--photo", place.folder / "x.heic", "-o", place.folder / "p")[0])
    return "" if len(ends) == 1 else f"statuses {ends}"


def resealed_results(place: RunFolder) -> str:
    from benchmark.results import read_result, write_result

    place.score(f"folder:{place.photos()}", "honest")
    result = read_result(place.folder / "honest" / "result.json")
    first = result.scores[0]
    changes = {
        "interval": {"low": first.value - 1e-4, "high": first.value + 1e-4}, "chance": {"chance": first.chance / 2},
        "n": {"n": first.n * 2}, "value": {"value": first.value + 0.01},
        "p": {"details": {**first.details, "p_chance": 0.5 if first.details["p_chance"] < 0.25 else 1e-6}},
    }  # fmt: skip
    forged = place.folder / "forged"
    for name, change in changes.items():
        changed = replace(result, scores=(replace(first, **change), *result.scores[1:]))  # type: ignore[arg-type]
        write_result(changed, forged / name / "result.json")
        shutil.copy(place.folder / "honest" / "answers.npz", forged / name)
    end = place.run("verify", forged)
    lines = end[1].splitlines()
    taken = [name for name in changes if not any(f"{name}/result.json" in line and "refused" in line for line in lines)]
    board = place.run("leaderboard", "--results", forged, "--no-published", "-o", place.folder / "board")
    shown = place.folder / "board" / "data.json"
    rows = json.loads(shown.read_text())["rows"] if shown.is_file() else []
    return f"taken: {taken}, {len(rows)} rows: {end[1][-300:]} {board[1][-200:]}" if taken or rows else ""


def many_scans(place: RunFolder) -> str:
    data, buffer = place.photos(), io.BytesIO()
    Image.effect_noise((1500, 1500), 60).save(buffer, "JPEG", progressive=True)
    jpeg = buffer.getvalue()
    start = jpeg.rfind(b"\xff\xda")
    header = jpeg[start : start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")]
    bomb = jpeg[:-2] + (header + bytes(8)) * 20_000 + b"\xff\xd9"
    (data / "train" / "cat" / "bomb.jpg").write_bytes(blp(bomb, random.Random(0)))
    began = time.monotonic()
    end = place.score(f"folder:{data}", "scans")
    reason = next((f["reason"] for f in place.result("scans")["failures"] if "bomb" in f["name"]), "")
    build = ("build", "folder", "--data", data, "--parameter", "jpeg", "--workers", "1", "--output", "built")
    built = place.run(*build)
    return _expect(end, 0, "1 photo failed") or _expect(built, 0, "refused as a bomb") or (
        "" if "refused as a bomb" in reason and time.monotonic() - began < 300 else reason or "no reason"
    )  # fmt: skip


def secrets_of_addresses(place: RunFolder) -> str:
    port = closed_port()
    addresses = (f"http://me:{PLANTED}1@127.0.0.1:{port}/x?token={PLANTED}2", f"http://me:{PLANTED}3@no-host.invalid")
    ends = [place.run("verify", "owner/results", env={"HF_ENDPOINT": address}) for address in addresses]
    leaks = [end for end in ends if PLANTED in end[1]]
    return f"printed: {leaks}" if leaks else "; ".join(filter(None, (_expect(e, 2, "no connection") for e in ends)))


class _Redirects(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{closed_port()}/README.md")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def redirected_card(place: RunFolder) -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Redirects)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    env = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}"}
    end = place.run("audit", "hub:owner/photos?label=label", "-o", place.folder / "redirected", env=env)
    server.shutdown()
    sentences = [line for line in end[1].splitlines() if line.startswith("camtrace: hub:owner/photos")]
    return _expect(end, 2, "") or ("" if len(sentences) == 1 else end[1][-300:])


def unreachable_hub(place: RunFolder) -> str:
    env = {"HF_ENDPOINT": f"http://127.0.0.1:{closed_port()}"}
    began = time.monotonic()
    end = place.score("hub:owner/photos?label=label", "away", env=env)
    waits = [float(part.split("s ")[0]) for part in end[1].split("Retrying in ")[1:]]
    if sum(waits) > 15.0:
        return f"waited {sum(waits):.0f} s in {time.monotonic() - began:.0f} s"
    return _expect(end, 2, "camtrace: hub:owner/photos: ")


def _harmful(name: str, status: int = 1, state: str = "failed") -> Row:
    def row(place: RunFolder) -> str:
        spec, folder = f"encoders:{name}", f"harm-{name}"
        end = place.score(f"folder:{place.photos()}", folder, models=(spec, HONEST), command="sweep")
        return _expect(end, status, spec) or _state(place, folder, spec, state) or _staying(place)

    return row


def _staying(place: RunFolder) -> str:
    """Processes of a run that are still there after it."""
    variable = f"CAMTRACE_CACHE={place.folder / 'cache'}".encode()
    for _ in range(60):
        left = []
        for path in Path("/proc").iterdir():
            with suppress(OSError):
                if path.name.isdigit() and variable in (path / "environ").read_bytes():
                    left.append(path.name)
        if not left:
            return ""
        time.sleep(0.05)
    return f"processes stay: {left}"


def full_output(place: RunFolder) -> str:
    end = place.score(f"folder:{place.photos()}", "full", stdout="/dev/full")
    return _expect(end, 1, "standard output cannot be written to") or ("" if place.result("full")["scores"] else "none")


def no_terminal(place: RunFolder) -> str:
    """About 100 s: a line at least every 30 s."""
    data, where = f"folder:{place.photos()}", ("-o", place.folder / "slow", "--cache", place.folder / "c")
    end = place.run("score", "-m", "encoders:slow", "-d", data, "-t", "probe/resizing", "--workers", "0", *where)
    lines = len(re.findall(r"^camtrace: .*, (?:about )?\d+ (?:s|min)\b", end[1], re.M))
    return _expect(end, 0, "") or ("" if lines >= 1 else f"{lines} lines: {end[1][-300:]}")


def zip_bomb(place: RunFolder) -> str:
    (place.folder / "bomb" / "data").mkdir(parents=True)
    with zipfile.ZipFile(place.folder / "bomb" / "data" / "train.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        for name in ("a", "b"):
            with z.open(f"{name}/a.jpg", "w", force_zip64=True) as stream:
                for _ in range(1536):
                    stream.write(bytes(1 << 20))
    end = place.score(f"hub:{place.folder / 'bomb'}?val-share=0.5", "zipped")
    hidden = "An error occurred while generating the dataset" in end[1]
    return "the reason is hidden" if hidden else _expect(end, 2, "camtrace: hub:")


def parsers_in_threads(place: RunFolder, runs: int = 20) -> str:
    """Two tasks side by side, again and again: ``ast.parse`` fails in two threads of Python 3.11.7."""
    options = (
        "-m",
        "bundled:efficientnet-lite0",
        "-d",
        "sample",
        "--limit",
        "30",
        "-t",
        "probe/jpeg",
        "-t",
        "knn/jpeg",
    )
    where = ("--outputs", "layers", "-q", "--workers", "0", "--cache", place.folder / "threads")
    failed = []
    for number in range(runs):
        shutil.rmtree(place.folder / "threads" / "outcomes", ignore_errors=True)
        end = place.run("score", *options, *where, "-o", place.folder / f"threads-{number}")
        if end[0] or "SystemError" in end[1]:
            failed.append(end[1][-200:])
    return f"{len(failed)} of {runs}: {failed[:1]}" if failed else ""


ROWS: Mapping[str, Row] = {
    "a class folder that cannot be listed": unlisted_folder,
    "an encoder that fails on 90 % of the photos": encoder_of_few_photos,
    "other pixels under the same size and time": other_pixels,
    "names that are escaped, in exif-folder": escaped_names,
    "HEIF brands hevm and hevs": heif_brands,
    "results sealed again after a change": resealed_results,
    "20,000 scans in a BLP": many_scans,
    "passwords and tokens in HF_ENDPOINT": secrets_of_addresses,
    "a card that redirects to a host that refuses": redirected_card,
    "a Hub that is not there": unreachable_hub,
    "vectors that grow late": _harmful("longer"),
    "an encoder that forks": _harmful("forks"),
    "an encoder that raises GeneratorExit": _harmful("generator"),
    "an encoder whose threads do not end": _harmful("threads", 0, "scored"),
    "an encoder that calls os._exit": _harmful("exits"),
    "an encoder that is a segmentation fault": _harmful("segfault"),
    "an encoder that changes the folder": _harmful("chdir"),
    "standard output is /dev/full": full_output,
    "no terminal": no_terminal,
    "a zip bomb of 3 GiB in a folder of hub:": zip_bomb,
    "parsers in threads": parsers_in_threads,
}
"""By the fault."""


def every_row(folder: Path, only: str = "") -> Tally:
    """Every row, or those whose name has ``only`` in it."""
    tally = Tally()
    for name, row in ROWS.items():
        if only in name:
            place = RunFolder(folder / f"{len(tally.tried):02d}")
            place.folder.mkdir(parents=True)
            (place.folder / "encoders.py").write_text(ENCODERS)
            tally.tried[name] += 1
            try:
                reason = row(place)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            tally.outcomes["as it must be" if not reason else "wrong"] += 1
            tally.wrong += [f"{name}: {reason}"] if reason else []
            tally.print_progress(sum(tally.tried.values()), "rows")
            shutil.rmtree(place.folder)
    return tally
