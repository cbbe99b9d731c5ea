"""One small engine for the tests of searches on it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.engine import stop_local_engines
from infra.engine.server import local_engine
from infra.environment import Environment

KV_BLOCKS = 32
"""Of 32 tokens: what a search of six trees fills several times over."""


@pytest.fixture(scope="session")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micro model's folder, with value rows that are not zero."""
    from tests.infra.engine.engine_search import make_micro

    return make_micro(tmp_path_factory.mktemp("micro"))


@pytest.fixture(scope="session")
def small_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A home whose engines have a KV cache of `KV_BLOCKS`. Its `engine_python` is a file of the test."""
    home = tmp_path_factory.mktemp("home")
    launcher = home / "python"
    python = Environment().engine_python.absolute()
    launcher.write_text(f'#!/bin/sh\nexec "{python}" "$@" --num-gpu-blocks-override {KV_BLOCKS}\n')
    os.chmod(launcher, 0o755)
    settings = Environment(home=home, engine_urls=[], device="cpu", engine_python=launcher)
    yield settings
    stop_local_engines(settings)
    assert local_engine(settings) is None
