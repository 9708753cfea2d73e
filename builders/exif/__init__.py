"""Bytes -> acquisition record -> labels: Exif by an allow-list, devices, attributes.

Never position, serial numbers or names.
"""
