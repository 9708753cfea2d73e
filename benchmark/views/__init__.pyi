from .acquisition import MaskedViews, PlainViews
from .choice import ViewMaker, chosen_maker
from .loading import PhotoViews, iterate_views, photo_bytes
from .stream import view_stream
from .views import Preprocess, ProcessingViews, StoredViews, ViewRecipe

__all__ = [
    "MaskedViews",
    "PhotoViews",
    "PlainViews",
    "Preprocess",
    "ProcessingViews",
    "StoredViews",
    "ViewMaker",
    "ViewRecipe",
    "chosen_maker",
    "iterate_views",
    "photo_bytes",
    "view_stream",
]
