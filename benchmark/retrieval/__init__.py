"""Pair retrieval, as a pure function on arrays.

Every target's rank among distractors of its own and of the query's camera type.
"""
