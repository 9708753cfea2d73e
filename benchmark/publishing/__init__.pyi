from .command import push_folder_of_results

__all__ = [
    "push_folder_of_results",
]
