"""A whole network on the device: memory plan, programs, runner, comparison, sampling.

`plan` places everything in device memory, `compile` makes the programs of all layers, `runner` runs
them layer by layer through the driver, `compare` checks every layer against the golden model,
`reproduce` keeps and replays one that differs, `session` samples images and `state` keeps what is
done; docs/device.md.
"""
