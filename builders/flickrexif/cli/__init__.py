"""The commands of FlickrExif."""
