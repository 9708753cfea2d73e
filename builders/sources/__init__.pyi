from .attribute_photos import read_attribute_photos
from .camera_folder import MIN_PHOTOS, read_camera_folder
from .dataset_repo import DatasetRepo
from .folders import FolderSource, labelled_folder
from .hub_photos import read_hub_photos, split_named
from .imagenet import imagenet_photos
from .inaturalist import inaturalist_photos
from .pair_photos import CAMERA_TYPES, PairRow, read_pair_photos
from .parquet_parts import local_splits
from .sample import sample_photos
from .stored_views import stored_photos, unpack
from .strangers import cell_bytes, check_data_set

__all__ = [
    "CAMERA_TYPES",
    "MIN_PHOTOS",
    "DatasetRepo",
    "FolderSource",
    "PairRow",
    "cell_bytes",
    "check_data_set",
    "imagenet_photos",
    "inaturalist_photos",
    "labelled_folder",
    "local_splits",
    "read_attribute_photos",
    "read_camera_folder",
    "read_hub_photos",
    "read_pair_photos",
    "sample_photos",
    "split_named",
    "stored_photos",
    "unpack",
]
