"""Worker processes that make views."""
