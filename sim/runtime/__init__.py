"""The Verilated runtime: one shared library per configuration, called in-process."""
