"""The accelerator in Amaranth: load, multiply, store, the bus engines and the core."""
