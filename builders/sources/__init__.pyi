from .attribute_sets import read_attribute_photos
from .bundles import unpack
from .cameras.design import SIMULATED_FILE
from .cameras.kinds import CAMERA_SETS
from .cameras.layouts import ES_GRIDS
from .cameras.sets import camera_photos
from .cameras.tables import TABLE_LAYOUTS, TILES, tabled_photos, tile_photos
from .columns.detection_sets import detection_photos, openfake_photos
from .columns.given import mapped_splits, with_columns
from .columns.headers import HEADER_FIELDS, header_columns
from .columns.layouts import check_layout
from .columns.named import WILDS, pathorob_photos, wilds_photos
from .columns.table_files import Table, open_table
from .columns.tables import photos_of, picture_paths, table_photos
from .exif_folder import MIN_PHOTOS, read_camera_folder
from .folders import FolderSource, labelled_folder
from .hub_data_sets import read_hub_photos, split_named
from .imagenet import imagenet_photos
from .inaturalist import inaturalist_photos
from .pair_proposals import propose_pairs
from .pairs import CAMERA_TYPES, PairRow, contradicted_types, read_pair_photos
from .parquet_splits import local_splits
from .processed_sets import stored_photos
from .remote.drawing import Streaming
from .repository import DatasetRepo
from .sample import sample_photos
from .webdataset import webdataset_photos

__all__ = [
    "CAMERA_SETS",
    "CAMERA_TYPES",
    "ES_GRIDS",
    "HEADER_FIELDS",
    "MIN_PHOTOS",
    "SIMULATED_FILE",
    "TABLE_LAYOUTS",
    "TILES",
    "WILDS",
    "DatasetRepo",
    "FolderSource",
    "PairRow",
    "Streaming",
    "Table",
    "camera_photos",
    "check_layout",
    "contradicted_types",
    "detection_photos",
    "header_columns",
    "imagenet_photos",
    "inaturalist_photos",
    "labelled_folder",
    "local_splits",
    "mapped_splits",
    "open_table",
    "openfake_photos",
    "pathorob_photos",
    "photos_of",
    "picture_paths",
    "propose_pairs",
    "read_attribute_photos",
    "read_camera_folder",
    "read_hub_photos",
    "read_pair_photos",
    "sample_photos",
    "split_named",
    "stored_photos",
    "table_photos",
    "tabled_photos",
    "tile_photos",
    "unpack",
    "webdataset_photos",
    "wilds_photos",
    "with_columns",
]
