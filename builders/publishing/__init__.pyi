from .card import viewer_address
from .command import push_built_folder
from .hub_push import create_repo, push_folder, retry

__all__ = [
    "create_repo",
    "push_built_folder",
    "push_folder",
    "retry",
    "viewer_address",
]
