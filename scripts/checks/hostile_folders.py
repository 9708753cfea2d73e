"""Does a small folder that states huge sizes end in a sentence, soon and in little memory?

    python -m scripts.checks.hostile_folders [--only WORD] [--field WORD] [--powers 4 6 9]

Each family of ``tests/encoders_by_hand`` is a folder of some 100 KB for the Hub's libraries, and each name of timm one
of up to 3 MB. Every number in its configuration, the library's defaults included, and in its processor is replaced by a
power of ten, one at a time, and the folder is loaded and asked for one embedding in a fork of this process. A try is
right if the answer is an embedding, or one sentence, within 10 s of processor time and 1 GB of memory beside what the
libraries take. Prints the number of right tries and each other one.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from PIL import Image

from benchmark.encoders import load_encoder
from builders.errors import CamtraceError
from tests.encoders_by_hand.families import CASES
from tests.encoders_by_hand.trial import embed, save

PROCESSOR_S, MEMORY_BYTES, WALL_S = 10.0, 1e9, 120
FILES = ("config.json", "preprocessor_config.json", "processor_config.json")
FAMILIES = (
    *("vit", "vit_mae", "beit", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit", "dinov3_convnext", "ijepa"),
    *(
        "swin",
        "swinv2",
        "convnext",
        "convnextv2 classifier",
        "resnet",
        "regnet",
        "efficientnet",
        "mobilevit",
        "segformer",
    ),
    *("levit classifier", "swiftformer classifier", "cvt classifier", "sam", "depth_anything", "clip", "siglip"),
    *("siglip2 NaFlex", "flava", "blip-2", "llava", "llava_next", "paligemma", "internvl", "qwen2_5_vl"),
    *("qwen3_vl", "idefics2", "idefics3", "vision-encoder-decoder"),
)
"""Of transformers."""
_STAGES = {"depths": [1, 1, 1, 1], "dims": [8, 16, 16, 24], "in_chans": 3}
TIMM = {
    "vit_tiny_patch16_224": {
        **{"img_size": 32, "patch_size": 8, "in_chans": 3, "embed_dim": 32, "depth": 2, "num_heads": 4},
        **{"mlp_ratio": 2.0, "num_classes": 7, "reg_tokens": 1},
    },
    "swin_tiny_patch4_window7_224": {
        **{"img_size": 32, "patch_size": 4, "embed_dim": 8, "window_size": 4, "mlp_ratio": 2.0},
        **{"depths": [1, 1], "num_heads": [2, 2]},
    },
    "convnext_atto": {**_STAGES, "patch_size": 4, "num_classes": 7},
    "resnet18": {
        "layers": [1, 1, 1, 1],
        "channels": [8, 16, 16, 24],
        "stem_width": 8,
        "cardinality": 1,
        "base_width": 64,
    },
    "mobilenetv3_small_050": {"in_chans": 3, "num_classes": 7, "drop_rate": 0.1},
    "regnetx_002": {"num_classes": 7, "in_chans": 3},
}
"""Names of timm, and arguments that the folder states."""


def fields(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where numbers stand in a configuration; of a list, its first."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from fields(inner, (*path, key))
    elif isinstance(value, list):
        yield from fields(value[0], (*path, 0)) if value else ()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def with_number(config: Any, path: tuple[str | int, ...], number: int) -> Any:
    """A copy of a configuration with another number in one place."""
    changed = copy.deepcopy(config)
    part = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = number
    return changed


def written(name: str, folder: Path) -> str:
    """Write the folder of a family, all fields stated; the options that it is loaded with."""
    if name in TIMM:
        import timm
        from timm.models import save_for_hf

        torch.manual_seed(0)
        model = timm.create_model(name, pretrained=False, **TIMM[name])
        save_for_hf(model, folder, model_args=TIMM[name], safe_serialization=True)
        return ""
    case = CASES[name]
    save(case, folder)
    config = tf.AutoConfig.from_pretrained(folder).to_dict()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    options = case.options or (f"size={case.square}" if case.square else "")
    return f"?{options}" if options else ""


def answer(folder: Path, options: str, photo: Image.Image, report: int) -> None:
    """In a fork: say in one line how loading and embedding end."""
    try:
        vector = embed(load_encoder(f"local-dir:{folder}{options}", device="cpu", runtime="torch"), [photo])
        text = "embedding" if np.isfinite(vector).all() else "WRONG: not finite"
    except CamtraceError as error:
        text = f"sentence: {error}" if "\n" not in str(error) else f"WRONG: {str(error)!r}"
    except BaseException as error:
        text = f"WRONG: {type(error).__name__}: {error}"
    os.write(report, text.replace("\n", " ")[:2000].encode())


def tried(folder: Path, options: str, photo: Image.Image) -> tuple[str, float, float]:
    """How a try ended; its processor seconds; and its peak of memory beside that of this process, in bytes."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        signal.alarm(WALL_S)
        with contextlib.suppress(BaseException):
            answer(folder, options, photo, write)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as reader:
        text = reader.read().decode()
    _, status, used = os.wait4(pid, 0)
    here = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    text = text or f"WRONG: ended ({os.waitstatus_to_exitcode(status)})"
    return text, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 - here


def main() -> int:
    """Try; the exit status is 1 if a try is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="families whose name contains this")
    parser.add_argument("--field", default="", help="fields whose name contains this")
    parser.add_argument("--powers", type=int, nargs="+", default=[4, 5, 6, 7, 8, 9])
    args = parser.parse_args()
    torch.set_num_threads(1)  # threads of OpenMP do not survive a fork
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    ends: Counter[str] = Counter()
    slowest, largest = (0.0, ""), (0.0, "")
    for name in (family for family in (*FAMILIES, *TIMM) if args.only in family):
        with tempfile.TemporaryDirectory(prefix="camtrace-hostile-") as temporary:
            folder = Path(temporary)
            options = written(name, folder)
            first, _, _ = tried(folder, options, photo)
            assert first == "embedding", f"{name}: {first}"
            for file in filter(Path.exists, (folder / each for each in FILES)):
                original = file.read_bytes()
                config = json.loads(original)
                for path in (path for path in fields(config) if args.field in ".".join(map(str, path))):
                    for number in (10**power for power in args.powers):
                        file.write_text(json.dumps(with_number(config, path, number)), encoding="utf-8")
                        text, seconds, memory = tried(folder, options, photo)
                        right = "WRONG" not in text and seconds < PROCESSOR_S and memory < MEMORY_BYTES
                        ends[text.partition(":")[0] if right else "WRONG"] += 1
                        where = f"{name}, {file.name}, {'.'.join(map(str, path))} = {number:,}"
                        slowest, largest = max(slowest, (seconds, where)), max(largest, (memory, where))
                        if not right:
                            print(f"{where}: {seconds:.1f} s, {memory / 1e6:,.0f} MB, {text[:300]}", flush=True)
                file.write_bytes(original)
        print(f"{name}: {dict(ends)}", flush=True)
    print(f"slowest: {slowest[0]:.1f} processor s, {slowest[1]}; largest: {largest[0] / 1e6:,.0f} MB, {largest[1]}")
    return int(bool(ends["WRONG"]))


if __name__ == "__main__":
    sys.exit(main())
