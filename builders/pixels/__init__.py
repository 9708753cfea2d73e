"""The instrument: decoding, processing parameters, masks, JPEG headers, and the exact engine.

Pillow is the definition; everything faster equals it bit for bit.
"""
