"""Store unit: requantise, bias, second operand, write."""
