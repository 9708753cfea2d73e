"""Data sets on disk: numbered Parquet shards that resume, their cards, and the rights of their photos.

Knows rows and features, not where photos come from.
"""
