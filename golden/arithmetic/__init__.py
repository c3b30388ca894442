"""Arithmetic that more than one part of the layer uses: rounding, sums, tables, statistics."""
