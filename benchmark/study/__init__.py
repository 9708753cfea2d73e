"""Comparisons: run against run, and run against the published study.

Reads results and answers; computes no embedding.
"""
