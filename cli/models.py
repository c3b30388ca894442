"""`hqdm models`: the presets with their sizes."""

from typing import Any

import typer

from hqdm.cli.printing import Json, print_rows


def describe() -> dict[str, dict[str, Any]]:
    """Per preset: kind, parameters, megabytes in half precision, multiply-accumulates per call."""
    import torch

    from hqdm.learn.diffusion.autoencoder import make_autoencoder
    from hqdm.learn.diffusion.macs import count_macs, parameters
    from hqdm.learn.diffusion.presets import AUTOENCODERS, UNETS
    from hqdm.learn.diffusion.unet import ClassConditionalUNet
    rows: dict[str, dict[str, Any]] = {}

    def add(name: str, kind: str, model: torch.nn.Module, *inputs: torch.Tensor) -> None:
        counts = count_macs(model, *inputs)
        size = parameters(model)
        rows[name] = {"kind": kind, "parameters": size, "half_mb": round(size * 2 / 1e6, 2),
                      "macs": sum(counts.values())} | counts

    with torch.device("meta"):
        for unet in UNETS.values():
            latents = torch.empty(1, unet.latent_channels, unet.latent_size, unet.latent_size)
            label = torch.zeros(1, dtype=torch.int64)
            add(f"unet {unet.name}", "unet", ClassConditionalUNet(unet), latents, label, label)
        for preset in AUTOENCODERS.values():
            model = make_autoencoder(preset)
            latents = torch.empty(1, preset.latent_channels, *[preset.latent_size] * 2)
            images = torch.empty(1, 3, preset.size, preset.size)
            add(f"encoder {preset.name}", "encoder", model.encoder, images)
            add(f"decoder {preset.name}", "decoder", model.decoder, latents)
    return rows


def models(as_json: Json = False) -> None:
    """List the model presets with parameters and multiply-accumulates."""
    print_rows(describe(), as_json)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(models)
