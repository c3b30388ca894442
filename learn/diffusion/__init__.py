"""The float models: autoencoder, class-conditional UNet, sampler, checkpoints."""
