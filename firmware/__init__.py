"""Host side: what compiles for the device and what drives it."""
