"""What reads a label from embeddings beside the linear probe."""
