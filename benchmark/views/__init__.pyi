from .acquisition import ORIGINAL, MaskedViews, PlainViews
from .loading import PhotoViews, iterate_views
from .stream import view_stream
from .views import Preprocess, ProcessingViews, StoredViews, ViewRecipe

__all__ = [
    "ORIGINAL",
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
