"""The world of which tests of builds fetch and build photos, and what stands in a built folder."""

import pyarrow.parquet as pq

from builders.dataset import read_build
from tests.support.flickr_world import World

WORLD = World(count=350, burst=0, owners=90)

SPLIT_NAMES = ("train", "validation", "test")


def paths_of(folder, config, split):
    result = [s for s in read_build(folder).splits if (s.config, s.split) == (config, split)]
    return [folder / shard.file for s in result for shard in s.shards]


def rows_of(folder, config, split):
    paths = paths_of(folder, config, split)
    return [row for path in paths for row in pq.read_table(path).to_pylist()]
