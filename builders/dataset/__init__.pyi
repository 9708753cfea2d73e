from .card import LANGUAGE, ORIGINAL, Card, render, size_category, source_datasets
from .cluster_work import ShardWork, gather_shards, hand_over_folder, scratch_folder
from .croissant import CROISSANT_FILE
from .disk_space import estimate_space, require_space
from .folder import build_record, claim_folder, finish_folder, prepare_folder, summary
from .manifest import BUILD_FILE, README_FILE, Build, PixelRights, parse_build, pixel_rights, read_build
from .parquet_writer import RowsBuilder, item_ranges
from .pipeline import BuildOptions, add_build_options, build_data_set, plan_shards
from .shards import ShardJob, file_sha256, items_per_shard
from .shared_shards import PHOTOS, Group, LabelledPart, SharedShards, grouped
from .write import FAILURES_FILE, SplitShards, write_groups, write_shards, write_splits

__all__ = [
    "BUILD_FILE",
    "CROISSANT_FILE",
    "FAILURES_FILE",
    "LANGUAGE",
    "ORIGINAL",
    "PHOTOS",
    "README_FILE",
    "Build",
    "BuildOptions",
    "Card",
    "Group",
    "LabelledPart",
    "PixelRights",
    "RowsBuilder",
    "ShardJob",
    "ShardWork",
    "SharedShards",
    "SplitShards",
    "add_build_options",
    "build_data_set",
    "build_record",
    "claim_folder",
    "estimate_space",
    "file_sha256",
    "finish_folder",
    "gather_shards",
    "grouped",
    "hand_over_folder",
    "item_ranges",
    "items_per_shard",
    "parse_build",
    "pixel_rights",
    "plan_shards",
    "prepare_folder",
    "read_build",
    "render",
    "require_space",
    "scratch_folder",
    "size_category",
    "source_datasets",
    "summary",
    "write_groups",
    "write_shards",
    "write_splits",
]
