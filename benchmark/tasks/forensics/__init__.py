"""Tasks ``forensics/*``: can generated photos be distinguished from real ones, and is it the generator that is seen?"""
