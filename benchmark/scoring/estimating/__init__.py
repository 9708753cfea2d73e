"""What a run will take, measured on a few photos: passes, tasks, and the text of ``--dry-run``."""
