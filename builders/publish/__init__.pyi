from .cli import push_built_folder, viewer_address
from .push import create_repo, push_folder, retry

__all__ = [
    "create_repo",
    "push_built_folder",
    "push_folder",
    "retry",
    "viewer_address",
]
