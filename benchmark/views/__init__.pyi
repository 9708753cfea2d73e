from .acquisition import MaskedViews, PlainViews
from .choose import ViewsChoice, available_cores, choose_views
from .device.views import possible, torch_views
from .edited import EDITS, EditedViews
from .loading import PREPROCESSING_FAILED, describe_source, failure_reason, iterate_views, photo_bytes
from .prefetch import Prefetch, StreamRequest
from .recipe import ORIGINAL, PhotoViews, Preprocess, ProcessingViews, StoredViews, ViewRecipe, on_a_copy
from .resaved import PNG, WithPng
from .stream import view_stream

__all__ = [
    "EDITS",
    "ORIGINAL",
    "PNG",
    "PREPROCESSING_FAILED",
    "EditedViews",
    "MaskedViews",
    "PhotoViews",
    "PlainViews",
    "Prefetch",
    "Preprocess",
    "ProcessingViews",
    "StoredViews",
    "StreamRequest",
    "ViewRecipe",
    "ViewsChoice",
    "WithPng",
    "available_cores",
    "choose_views",
    "describe_source",
    "failure_reason",
    "iterate_views",
    "on_a_copy",
    "photo_bytes",
    "possible",
    "torch_views",
    "view_stream",
]
