"""Downloads of photos."""
