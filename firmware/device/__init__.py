"""Driver, transports and a whole network on the device.

`runner` runs the programs of `hqdm.firmware.compile` layer by layer through the driver,
`comparison` checks every layer against the golden model, `session` samples images and `state`
keeps what is done; docs/device.md.
"""
