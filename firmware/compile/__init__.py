"""From a model to what the device reads: lowering, packing, memory plan, programs."""
