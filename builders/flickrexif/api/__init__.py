"""Calls of the Flickr API, and parsers of its responses."""
