"""Calls of the Flickr API and their answers."""
