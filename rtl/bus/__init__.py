"""AXI engines and the register bank."""
