"""Photos processed in known ways as a data set: built in shards, or made while it is read.

Both give the same bytes and labels.
"""
