"""Every family that is tried, and their table for the documentation.

    python -m tests.encoders_by_hand.table [--only NAME ...] [--no-timm] [--markdown FILE]

Ends with status 1 if an embedding is wrong. ``test_families.py`` says what is compared.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.encoders_by_hand import detecting, flat, language, lone, pyramids, refused, two_towers, vision_language
from tests.encoders_by_hand.case import Case
from tests.encoders_by_hand.trial import Row, try_case, try_timm, versions

MARK = re.compile(r"<!-- by \S*(check_families|encoders_by_hand)\S* -->")
"""Where the tables begin in a document that has other text."""

CASES: dict[str, Case] = {
    **flat.CASES,
    **pyramids.CASES,
    **detecting.CASES,
    **two_towers.CASES,
    **vision_language.CASES,
    **language.CASES,
    **refused.CASES,
    **lone.CASES,
}

TIMM = (
    *(
        "vit_small_plus_patch16_dinov3.lvd1689m",
        "vit_base_patch16_dinov3.lvd1689m",
        "vit_large_patch16_dinov3.lvd1689m",
    ),
    *("vit_huge_plus_patch16_dinov3.lvd1689m", "convnext_base.dinov3_lvd1689m", "vit_pe_core_base_patch16_224.fb"),
    *("vit_pe_core_large_patch14_336.fb", "vit_pe_spatial_base_patch16_512.fb", "aimv2_large_patch14_224.apple_pt"),
    *("aimv2_huge_patch14_224.apple_pt", "vit_base_patch14_reg1_tipsv2.webli", "vit_large_patch14_reg1_tipsv2.webli"),
    *("vit_so400m_patch14_reg1_tipsv2.webli", "vit_so400m_patch16_radio_v4.c_radio"),
    *("vit_huge_patch16_radio_v4.c_radio", "vit_base_patch16_dinov3_qkvb.eupe_lvd1689m"),
    *("vit_huge_patch14_clip_224.dfn5b", "vit_huge_patch14_clip_224.metaclip2_worldwide"),
    *("vit_base_mci_224.apple_mclip2_dfndr2b", "resnet50.a1_in1k", "convnext_tiny.fb_in22k_ft_in1k_384"),
    *("vit_base_patch16_siglip_256.v2_webli", "efficientnet_b0.ra_in1k", "mobilenetv4_conv_small.e2400_r224_in1k"),
    *("swin_tiny_patch4_window7_224.ms_in1k", "naflexvit_base_patch16_siglip.v2_webli", "fastvit_t8.apple_in1k"),
    *("deit_base_distilled_patch16_224.fb_in1k", "eva02_base_patch14_224.mim_in22k", "hiera_tiny_224.mae_in1k_ft_in1k"),
)
"""Names of timm, the ids of 2024-26 first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try each family, print a line for each, and write the tables where that is wanted."""
    parser = argparse.ArgumentParser(description="encoders against the library called by hand")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these families and names of timm alone")
    parser.add_argument("--no-timm", action="store_true", help="families of transformers alone")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables into FILE (after its mark)")
    options = parser.parse_args(arguments)

    def chosen(names: Sequence[str]) -> list[str]:
        return [name for name in names if options.only is None or name in options.only]

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as name:
        warnings.simplefilter("ignore")
        folder = Path(name)
        families = _tried({name: partial(try_case, name, CASES[name], folder) for name in chosen(list(CASES))})
        timm_names = [] if options.no_timm else chosen(TIMM)
        others = _tried({name: partial(try_timm, name, folder) for name in timm_names})
    summary = f"{_counts('transformers', families)}\n{_counts('timm', others)}\n{versions()}"
    print(summary)
    if options.markdown:
        page = options.markdown.read_text(encoding="utf-8") if options.markdown.exists() else ""
        mark = MARK.search(page)
        tables = [_markdown("transformers", families), _markdown("timm", others)]
        text = "\n\n".join([*([page[: mark.end()]] if mark else []), summary.replace("\n", "  \n"), *tables])
        options.markdown.write_text(text + "\n", encoding="utf-8")
    return int(any(row.verdict == "WRONG" for row in [*families, *others]))


def _tried(trials: dict[str, Callable[[], Row]]) -> list[Row]:
    rows = []
    for trial in trials.values():
        rows.append(trial())
        print(rows[-1].line(), flush=True)
    return rows


def _counts(library: str, rows: list[Row]) -> str:
    number = {verdict: sum(row.verdict == verdict for row in rows) for verdict in ("right", "refused", "WRONG")}
    heads = sum(bool(row.head) for row in rows)
    kinds = ", ".join(f"{n} {verdict}" for verdict, n in number.items())
    families = len({row.family for row in rows if row.verdict != "WRONG"})
    return f"{library}: {len(rows)} tried, of {families} families: {kinds}; {heads} against their own task head"


def _markdown(library: str, rows: list[Row]) -> str:
    lines = [f"| {library} | embedding | preprocessing | error | head |", "|---|---|---|--:|--:|"]
    return "\n".join(lines + [f"| {row.name} | {row.words} | {row.path} | {row.error} | {row.head} |" for row in rows])


if __name__ == "__main__":
    sys.exit(main())
