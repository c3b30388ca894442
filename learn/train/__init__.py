"""Training of the float models."""
