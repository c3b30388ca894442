"""Fixtures of tests far apart."""

import json

import pytest


@pytest.fixture
def write(tmp_path):
    """Writes text, or an object as JSON, and gives the file's name."""
    def write(content):
        path = tmp_path / "mine.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)
    return write
