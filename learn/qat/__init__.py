"""HQ-DM quantisation-aware distillation of diffusers UNets (docs/quantisation.md).

timestep -> search -> quantiser -> rotation, lora -> layers, attention: the pieces of one layer.
rule, trace, methods -> convert: which piece goes where. trajectory -> calibrate -> distil ->
freeze -> export: from a float teacher to a packed file.
"""
