"""The local database of a FlickrExif collection."""
