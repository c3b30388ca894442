"""Load unit: carriers from memory to operands in the buffer."""
