"""Transports: a functional device, the Verilated core, and what else speaks `Transport`."""
