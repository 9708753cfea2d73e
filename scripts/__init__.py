"""Measurements, checks and tables that are run by hand, from the folder of the repository."""
