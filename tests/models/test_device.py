"""Devices by name, the one of the block we are in, and what is said of one that is not there."""

from __future__ import annotations

import threading

import pytest
import torch

from explorer.errors import ModelError
from explorer.models import device as devices


def test_auto_takes_what_is_there() -> None:
    found = devices.pick()
    assert found.kind == ("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    assert found.fast in ("float32", "bfloat16", "float16")
    used, total = devices.memory(found)
    assert 0 < used <= total


def test_the_cpu_says_its_threads_and_its_precision() -> None:
    found = devices.pick("cpu")
    assert (found.name, found.kind) == ("cpu", "cpu")
    assert str(torch.get_num_threads()) in found.about
    assert found.fast == ("bfloat16" if devices._half_on_cpu() else "float32")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", "", "cuda:-1"])
def test_a_name_that_there_is_not(name: str) -> None:
    with pytest.raises(ModelError, match=r"Device '.*' is unknown\. Devices: auto, cpu, cuda, cuda:1, mps\. Choose one of them\."):
        devices.pick(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"Device 'cuda' is not there: torch .* sees none\. Use --device cpu"):
        devices.pick("cuda")


def test_a_block_has_its_device_and_other_threads_have_theirs() -> None:
    elsewhere: list[str] = []
    with devices.using("cpu"):
        assert devices.current().name == "cpu"
        thread = threading.Thread(target=lambda: elsewhere.append(devices.current().kind))
        thread.start()
        thread.join()
        with pytest.raises(ModelError), devices.using("nonsense"):
            devices.current()
        assert devices.current().name == "cpu"
    assert elsewhere == [devices.pick("auto").kind]
