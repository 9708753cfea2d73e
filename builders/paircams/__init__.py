"""PairCams: pairs of photos of one subject by a phone and by an older camera.

From the study's files or anybody's folder to a data set.
"""
