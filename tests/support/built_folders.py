"""Finished builds whose tables and record a test writes down, for ``camtrace check``, ``diff`` and ``report``."""

from __future__ import annotations

import hashlib
import json


def write_build(folder, parts, *, kind="other", recipe=None, codec=None, stated=None, broken=()):
    """Write ``folder`` as a finished build.

    Args:
        folder: made if it is absent.
        parts: ``datasets.Dataset`` of each (config, split).
        kind, recipe, codec: as in ``build.json``.
        stated: rows that ``build.json`` states of a (config, split), where they are not those of its table.
        broken: (config, split) whose file is longer than it was when its hash was taken.
    """
    splits = []
    for (config, split), rows in parts.items():
        file = f"data/{config}/{split}-00000-of-00001.parquet"
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(str(path))
        data = path.read_bytes()
        if (config, split) in broken:
            path.write_bytes(data + b"!")
        shard = {
            "file": file,
            "recipe_hash": "r",
            "rows": (stated or {}).get((config, split), len(rows)),
            "file_bytes": len(data),
            "data_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "failures": [],
        }
        splits.append({"config": config, "split": split, "shards": [shard]})
    configs = list(dict.fromkeys(config for config, _ in parts))
    record = {
        "format": 1,
        "kind": kind,
        "default": configs[0],
        "recipe": recipe or {},
        "pixels": {"allowed": True, "reason": ""},
        "codec": codec or {},
        "splits": splits,
    }
    (folder / "build.json").write_text(json.dumps(record))
    files = {
        config: [
            {"split": split, "path": f"data/{config}/{split}-*.parquet"} for name, split in parts if name == config
        ]
        for config in configs
    }
    card = [{"config_name": config, "data_files": of} for config, of in files.items()]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(card)}\n---\n")
    return folder
