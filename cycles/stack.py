"""Several images as one layer: on top of each other, so that they share every weight tile."""

from dataclasses import replace

from hqdm.spec.layer import Layer, check_dimension


def gap_rows(layer: Layer) -> int:
    """Source rows of zeros between two images, so that neither sees the other.

    One row is the padding of both; with a stride of two each image begins on an even row.
    """
    load, multiply = layer.load, layer.multiply
    gap = multiply.padding
    if multiply.stride == 2 and load.upsample == 1:
        gap += (load.height + gap) % 2
    return gap


def stacked(layer: Layer, images: int) -> Layer:
    """`layer` on `images` images in one run: an ordinary layer of more rows.

    Parameters
    ----------
    layer: of one image; a layer whose weights depend on the image (a head of an attention
        product) cannot be stacked, and only the caller knows.

    Raises
    ------
    ValueError: fewer than one image, a product of two activations, or more rows than a layer has.
    """
    if images < 1:
        raise ValueError(f"{layer.name}: wanted at least 1 image, got {images}")
    if layer.multiply.product != "none":
        raise ValueError(f"{layer.name}: wanted a layer with weights, got a product of activations")
    height = images * layer.load.height + (images - 1) * gap_rows(layer)
    check_dimension("height", height)
    return replace(layer, load=replace(layer.load, height=height))


def source_rows(layer: Layer, image: int) -> slice:
    """Rows of image `image` in the source of the stacked layer; `layer` is that of one image."""
    first = image * (layer.load.height + gap_rows(layer))
    return slice(first, first + layer.load.height)


def output_rows(layer: Layer, image: int) -> slice:
    """Rows of image `image` in the output of the stacked layer; `layer` is that of one image."""
    step = (layer.load.height + gap_rows(layer)) * layer.load.upsample // layer.multiply.stride
    return slice(image * step, image * step + layer.out_height)
