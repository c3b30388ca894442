"""Cycle model: how long a layer takes on a core, and why, without simulating it."""
