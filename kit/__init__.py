"""Small shared tools: atomic files, the build cache, progress, argument checks, tensor files."""
