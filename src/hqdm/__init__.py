"""hqdm: an open accelerator for low-bit diffusion, its golden model, and what trains and drives it.

The subpackages are the folders of the repository's root; who may import whom is in
docs/architecture.md.
"""
