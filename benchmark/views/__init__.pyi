from .acquisition import ORIGINAL, MaskedViews, PlainViews
from .loading import PREPROCESSING_FAILED, PhotoViews, iterate_views
from .stream import view_stream
from .views import Preprocess, ProcessingViews, StoredViews, ViewRecipe

__all__ = [
    "ORIGINAL",
    "PREPROCESSING_FAILED",
    "MaskedViews",
    "PhotoViews",
    "PlainViews",
    "Preprocess",
    "ProcessingViews",
    "StoredViews",
    "ViewRecipe",
    "iterate_views",
    "view_stream",
]
