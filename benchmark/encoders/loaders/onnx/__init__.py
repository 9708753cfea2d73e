"""ONNX files: the graph, the tensor in it that is an embedding, and the encoder."""
