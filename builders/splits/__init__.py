"""Train, validation and test that share nothing, and the report that proves it.

Stratified by class, grouped by scene or owner, free of near-duplicates.
"""
