"""Write the layers of the named models, after a change of lowering:
`python -m hqdm.firmware.catalogue`."""

from hqdm.firmware.catalogue.library import names, read_model
from hqdm.firmware.catalogue.shapes import LAYERS, listing, lower_shapes


def main() -> None:
    LAYERS.mkdir(exist_ok=True)
    for name in names():
        (LAYERS / f"{name}.json").write_text(listing(lower_shapes(read_model(name))))


if __name__ == "__main__":
    main()
