"""Models whose layers are known without their weights, by name or by diffusers configuration."""
