"""Every type of checkpoint that transformers' image processors read, and the architectures of timm and open_clip.

    python -m tests.encoders_by_hand.inventory RESULTS [--only NAME ...] [--limit SECONDS]

Each is tried in a process of its own with limits on time and memory, and its row is stored in the folder RESULTS, so
that a run goes on where the last one ended; ``scripts/docs_tables/inventory.py`` makes the page of the rows.
``test_inventory.py`` fails where an installed library has a type that stands in no list here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from tests.encoders_by_hand.table import CASES
from tests.encoders_by_hand.trial import Row, try_case, try_open_clip, try_timm

MEMORY_BYTES = 14 << 30
"""Address space of a process that tries one type."""

OTHER_NAMES = {
    "convnextv2": "convnextv2 classifier",
    "cvt": "cvt classifier",
    "mobilenet_v1": "mobilenet_v1 classifier",
    "mobilevitv2": "mobilevitv2 classifier",
    "poolformer": "poolformer classifier",
    "pvt": "pvt classifier",
    "siglip2": "siglip2 NaFlex",
    "swiftformer": "swiftformer classifier",
    "timm_wrapper": "timm_wrapper classifier",
}
"""Type -> its case, where that has another name."""

NOT_BUILT = {
    "cohere_compass": "its kinds of layers and its rotations are parted over more layers than a small model has",
    "dinat": "its attention is in the package natten, which is compiled for each version of torch",
    "dots3_note": "its kinds of layers depend on how many there are",
    "gemma3n": "its tower is timm's mobilenetv5_300m_enc, of 300 million weights, and its language model shares layers",
    "glm_image": "its tower and its image processor do not fit each other with small numbers",
    "inkling2": "its tower and its image processor do not fit each other with small numbers",
    "inkling2_loop": "its tower and its image processor do not fit each other with small numbers",
    "inkling_mm_model": "its tower and its image processor do not fit each other with small numbers",
    "lw_detr": "its class divides by zero when it is made with small numbers",
    "mistral_large4": "its layers share keys with layers that a small model does not have",
    "molmo2": "its adapter reads layers that a small model does not have",
    "muse_spark": "its tower is described by four lists that depend on its 62 layers",
    "muse_glimmer": "the width of its adapter does not follow from the numbers of its configuration",
    "nougat": "its configuration names a part, donut_swin, that transformers 5.24 does not know",
    "omdet-turbo": "its tower, a Swin of timm, was not made for small pictures",
    "pp_formulanet": "its tower and its image processor do not fit each other with small numbers",
    "pp_ocrv5_server_det": "its default configuration names no backbone",
    "pp_ocrv6_medium_det": "its default configuration names no backbone",
    "qwen2_5_omni": "its class reads spk_dict.pt, which save_pretrained does not write",
    "qwen3_omni_moe": "its default configuration lacks shared_expert_intermediate_size",
    "qwen4_exp": "its default configuration names no heads",
    "t5gemma2_encoder": "its class does not accept its own default configuration",
}
"""Type -> why it cannot be built small."""


def types() -> list[str]:
    """Types of the installed transformers that have an image processor."""
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    return sorted(IMAGE_PROCESSOR_MAPPING_NAMES)


def case_of(model_type: str) -> str | None:
    """Name of the case that tries a type; None where none does."""
    name = OTHER_NAMES.get(model_type, model_type)
    return name if name in CASES else None


def unknown_types(installed: Iterable[str]) -> list[str]:
    """Types for which there is neither a case nor a reason why there is none."""
    return [name for name in installed if case_of(name) is None and name not in NOT_BUILT]


def tried(model_type: str, below: Path) -> Row:
    """The row of a type."""
    name = case_of(model_type)
    if name is None:
        return Row(model_type, "not built", NOT_BUILT[model_type], family=model_type)
    case = CASES[name]
    options = case.options or (f"size={case.square}" if case.square else "")
    return replace(try_case(name, case, below), name=model_type, options=options)


def in_child(function: Callable[[str, Path], Row], name: str, limit_s: int) -> Row:
    """What a function returns, called in a forked process; a row that is wrong where the process ends otherwise."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(limit_s)
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            row = function(name, Path(folder))
        with os.fdopen(write, "w") as pipe:
            json.dump(asdict(row), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if text:
        return Row(**json.loads(text))
    return Row(name, "WRONG", f"its process ended with status {os.waitstatus_to_exitcode(status)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what has no row yet; ends with status 1 if a row is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these alone, tried again")
    parser.add_argument("--limit", type=int, default=300, metavar="SECONDS", help="for each")
    parser.add_argument("--libraries", nargs="+", default=["transformers", "timm", "open_clip"])
    options = parser.parse_args(arguments)
    import torch

    from tests.encoders_by_hand import architectures

    torch.set_num_threads(1)
    names = {"transformers": types(), "timm": list(architectures.TIMM), "open_clip": list(architectures.OPEN_CLIP)}
    functions = {"transformers": tried, "timm": try_timm, "open_clip": try_open_clip}
    wrong = 0
    for library in options.libraries:
        folder = options.results / library
        folder.mkdir(parents=True, exist_ok=True)
        for name in names[library]:
            file = folder / f"{name.replace('/', '_')}.json"
            if (options.only is None and file.exists()) or (options.only is not None and name not in options.only):
                continue
            started = time.monotonic()
            row = in_child(functions[library], name, options.limit)
            file.write_text(json.dumps(asdict(row)))
            wrong += row.verdict == "WRONG"
            print(f"{row.line()[:300]}  {time.monotonic() - started:.0f} s", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
