"""The JSON object in a file that someone gave as a model, or one line that says what it is."""

import json
import re
from pathlib import Path
from typing import Any

LARGEST = 1 << 20       # bytes; configurations have some thousands
INSIDE = ("unet/config.json", "config.json")        # of a folder: a pipeline's, a model's
_LFS = "is a Git LFS pointer, not the file: run git lfs pull, or download the file itself"
_PAGE = "is a page of HTML or XML: download the raw file, not the page around it"
_COMPVIS = ("is YAML of CompVis: wanted a configuration of diffusers, which has scripts to convert "
            "it; the models ldm4-imagenet, ldm4-bedrooms and ldm8-churches are known by name")
SIGNS = (       # (how a file begins, what it is and what to do)
    (rb"\s*\Z", "is empty"),
    (rb"version https://git-lfs", _LFS), (rb"(?i)\s*<(!doctype|html|\?xml)", _PAGE),
    (rb"PK\x03\x04", "is an archive, perhaps weights: wanted the config.json beside it"),
    (rb"\x80[\x02-\x05]", "is a pickle, perhaps weights: wanted the config.json beside it"),
    (rb"(?s).{7}\x00\{", "is safetensors, perhaps weights: wanted the config.json beside it"),
    (rb"(?s)(?=.*^\s+target:)(\s*#[^\n]*\n)*\s*[\w.-]+:\s", _COMPVIS),
    (rb"(---\s|(\s*#[^\n]*\n)*\s*[\w.-]+:\s)", "is YAML: wanted JSON"),
)


def find_file(model: str) -> Path | None:
    """The file `model`, or that in the folder `model`; None if there is nothing of that name.

    Raises
    ------
    ValueError: a folder without a configuration; a repository or an address, which nothing loads.
    """
    path = Path(model)
    if path.is_dir():
        found = next((path / name for name in INSIDE if (path / name).is_file()), None)
        if found is None:
            raise ValueError(f"{path}: is a folder without {' or '.join(INSIDE)}: wanted a "
                             "diffusers UNet configuration file")
        return found
    if path.is_file():
        return path
    if path.exists():
        raise ValueError(f"{path}: is neither a file nor a folder")
    if re.fullmatch(r"[\w.-]+/[\w.-]+|https?://.*", model) and not path.parent.is_dir():
        raise ValueError(f"model: {model!r} is not a file here, and nothing is downloaded: fetch "
                         "unet/config.json of that repository and give its path")
    return None


def title(path: Path) -> str:
    """What to call the model of `path`: the file without its ending, or the folder of a
    config.json."""
    if path.name != "config.json":
        return path.stem
    folder = path.resolve().parent
    return (folder.parent if folder.name == "unet" else folder).name or path.stem


def read_object(path: Path) -> Any:
    """What the JSON of `path` says, whatever its encoding and byte order mark.

    Raises
    ------
    ValueError: a large file, or one that is not JSON: what it is, and what to do.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path}: wanted a configuration file of at most {LARGEST:,} bytes, got "
                         f"{size:,}; weights do not say what the model is")
    data = path.read_bytes()
    try:
        return json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {_what_it_is(data, error)}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of `pairs`; ValueError for a key that comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} twice in an object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text}, which is no number of JSON")


def _what_it_is(data: bytes, error: Exception) -> str:
    """What a file that is not JSON is, and what to do."""
    for sign, what in SIGNS:
        if re.match(sign, data[:4096], re.MULTILINE):
            return what
    conflict = re.search(rb"^(<{7}|>{7}) ", data, re.MULTILINE)
    if conflict:
        line = data[:conflict.start()].count(b"\n") + 1
        return f"has the marks of a merge conflict, the first in line {line}: resolve it"
    deep = isinstance(error, RecursionError)
    return f"wanted JSON, got {'a list in a list in a list without end' if deep else error}"
