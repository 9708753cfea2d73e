"""Nearest neighbours in every set-up, as pure functions on arrays.

From C x C similarity blocks, exact under one stated tie rule.
"""
