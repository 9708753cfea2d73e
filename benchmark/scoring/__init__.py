"""Encoders x tasks -> results: the command that most people run.

A failed photo, task or encoder is a row, never the end of the run.
"""
