from .card import viewer_address
from .hub_push import create_repo, push_folder, retry

__all__ = [
    "create_repo",
    "push_folder",
    "retry",
    "viewer_address",
]
