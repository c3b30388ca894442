"""Data sets as tensors, cached."""
