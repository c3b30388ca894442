"""Simulation: Verilator builds, the Verilated runtime and the cocotb testbenches."""
