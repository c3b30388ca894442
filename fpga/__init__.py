"""FPGA builds with Yosys and nextpnr-ecp5 from PyPI: area by unit, clock rate over seeds."""
