"""FlickrExif: search (Flickr API) -> fetch (photos) -> build (labels, splits, Parquet).

Every step keeps what it did in one folder of state and goes on from there.
"""
