"""The search for photos, slice by slice of time."""
