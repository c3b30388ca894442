"""The core on a ULX3S board: clock, reset, memory in block RAM, and a UART in place of a CPU."""
