"""Where photos come from, one file a kind.

``builders.open_photos`` above this room is the registry of kinds.
"""
