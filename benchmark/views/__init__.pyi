from .acquisition import MaskedViews, PlainViews
from .stream import view_stream
from .views import PhotoViews, Preprocess, ProcessingViews, StoredViews, ViewRecipe, iterate_views

__all__ = [
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
