"""Write the layers of the named models: `python -m firmware.models`, after a change of lowering."""

from firmware.models.library import names, read_model
from firmware.models.shapes import LAYERS, listing, lower_shapes


def main() -> None:
    LAYERS.mkdir(exist_ok=True)
    for name in names():
        (LAYERS / f"{name}.json").write_text(listing(lower_shapes(read_model(name))))


if __name__ == "__main__":
    main()
