"""Host side: packing, tiling, compiled programs, transports, driver and command line."""
