"""Multiply: operand buffer, weight stream, systolic array, partial sums and their sequencer."""
