"""Embeddings on disk under a complete key: the pass that makes them, and the gate that low precision must pass.

Knows encoders and views, not tasks: a bank answers for any question that asks for its views.
"""
