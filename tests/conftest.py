"""What all tests share: `tiny` importable, and tiny bases made and loaded once."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from schematune.decoding.base import Base


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a family's tiny base; do not write into it."""

    @cache
    def folder(family: str) -> Path:
        from tiny import tiny_base

        return tiny_base(family, tmp_path_factory.mktemp(family.replace(".", "_")))

    return folder


@pytest.fixture(scope="session")
def tiny_loaded(tiny_folder: Callable[[str], Path]) -> "Callable[[str], Base]":
    """Return a family's tiny base, loaded; do not change it."""

    @cache
    def loaded(family: str) -> "Base":
        from schematune.decoding.base import load_base

        return load_base(tiny_folder(family), device="cpu")

    return loaded
