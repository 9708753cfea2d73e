"""Copies of photos among other photos: tasks, the section of a report, and short answers."""
