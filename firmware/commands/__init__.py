"""Bodies of the commands of `hqdm`: each module has `register(app)`."""
