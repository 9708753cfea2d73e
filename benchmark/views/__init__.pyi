from .acquisition import MaskedViews, PlainViews
from .ahead import StreamAsked, ViewsAhead
from .choice import ViewMaker, chosen_maker
from .loading import PREPROCESSING_FAILED, iterate_views, photo_bytes
from .stream import view_stream
from .views import ORIGINAL, PhotoViews, Preprocess, ProcessingViews, StoredViews, ViewRecipe

__all__ = [
    "ORIGINAL",
    "PREPROCESSING_FAILED",
    "MaskedViews",
    "PhotoViews",
    "PlainViews",
    "Preprocess",
    "ProcessingViews",
    "StoredViews",
    "StreamAsked",
    "ViewMaker",
    "ViewRecipe",
    "ViewsAhead",
    "chosen_maker",
    "iterate_views",
    "photo_bytes",
    "view_stream",
]
