"""Control: descriptor fetch and checks, faults, drain, counters."""
