from .attribute_sets import read_attribute_photos
from .bundles import unpack
from .columns.detection_sets import detection_photos, openfake_photos
from .columns.given import mapped_splits, with_columns
from .columns.headers import HEADER_FIELDS, header_columns
from .columns.layouts import check_layout
from .columns.named import WILDS, pathorob_photos, wilds_photos, with_usual
from .columns.table_files import Table, open_table
from .columns.tables import photos_of, picture_paths, table_photos
from .exif_folder import MIN_PHOTOS, read_camera_folder
from .folders import FolderSource, labelled_folder, seeded_splits
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
from .tar_index import MAX_ARCHIVE_FILE_BYTES, FileWindow, indexed
from .webdataset import webdataset_photos

__all__ = [
    "CAMERA_TYPES",
    "HEADER_FIELDS",
    "MAX_ARCHIVE_FILE_BYTES",
    "MIN_PHOTOS",
    "WILDS",
    "DatasetRepo",
    "FileWindow",
    "FolderSource",
    "PairRow",
    "Streaming",
    "Table",
    "check_layout",
    "contradicted_types",
    "detection_photos",
    "header_columns",
    "imagenet_photos",
    "inaturalist_photos",
    "indexed",
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
    "seeded_splits",
    "split_named",
    "stored_photos",
    "table_photos",
    "unpack",
    "webdataset_photos",
    "wilds_photos",
    "with_columns",
    "with_usual",
]
