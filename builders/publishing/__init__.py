"""A built folder, or its recipe, to the Hub.

A dry run until it is told to push; pixels only where their rights allow.
"""
