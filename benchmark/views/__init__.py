"""A photo becomes arrays for encoders, under one processing each.

Decoded once for all its views and all encoders of a pass.
"""
