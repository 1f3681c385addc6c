"""Test vectors: exact bytes, published ones and our own. README.md says where each file comes from."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent


def load(name):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
