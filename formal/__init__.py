"""Formal checks: Amaranth harnesses, Yosys' BTOR2 back end, bounded checks and a search."""
