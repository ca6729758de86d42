"""Batches by tokens: within the budget, in order, and the same answer when the device has no memory for them."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explorer.errors import ModelError
from explorer.models.batching import out_of_memory, run, token_batches
from explorer.models.streams import streams

LENGTHS = [3, 9, 1, 200, 64, 64, 7, 30, 30, 30, 2, 120]
ANSWER = np.array([[n, 2 * n] for n in LENGTHS], np.float32)


def answer(places: np.ndarray) -> np.ndarray:
    return ANSWER[places]


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 500), st.integers(1, 40), st.sampled_from([1, 8]))
def test_batches_hold_every_text_once_and_stay_within_the_budget(lengths: list[int], budget: int, rows: int, multiple: int) -> None:
    batches = token_batches(lengths, budget, rows, multiple)
    assert sorted(i for b in batches for i in b.tolist()) == list(range(len(lengths)))
    longest = [max(max(1, lengths[i]) for i in b) for b in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, most in zip(batches, longest, strict=True):
        assert len(batch) <= rows
        assert len(batch) == 1 or len(batch) * (-(-most // multiple) * multiple) <= budget


def test_answers_come_back_in_the_order_of_the_texts() -> None:
    np.testing.assert_array_equal(run(LENGTHS, answer, 128), ANSWER)
    assert run([], answer, 128).shape == (0,)


@pytest.mark.parametrize(
    "failure",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError("Unable to allocate 2 GiB"),
    ],
)
def test_a_batch_too_large_for_the_device_is_halved_and_the_answer_is_the_same(failure: Exception) -> None:
    seen: list[int] = []

    def forward(places: np.ndarray) -> np.ndarray:
        if sum(LENGTHS[i] for i in places) > 200:
            raise failure
        seen.extend(places.tolist())
        return answer(places)

    np.testing.assert_array_equal(run(LENGTHS, forward, 4096), ANSWER)
    assert sorted(seen) == list(range(len(LENGTHS)))  # none was run twice


def test_batches_side_by_side_that_do_not_fit_together() -> None:
    """Three at once in memory for 200 tokens: a text of 200 fits alone, so it waits until it is alone."""
    lock, used, seen = threading.Lock(), [0], []
    barrier = threading.Barrier(2, timeout=0.2)

    def work(places: np.ndarray) -> np.ndarray:
        size = sum(LENGTHS[i] for i in places)
        with lock:
            if used[0] + size > 200:
                raise MemoryError("can't allocate memory")
            used[0] += size
        try:
            barrier.wait()
        except threading.BrokenBarrierError:
            barrier.reset()
        with lock:
            used[0] -= size
            seen.extend(places.tolist())
        return answer(places)

    with ThreadPoolExecutor(3) as pool:
        found = run(LENGTHS, lambda p: pool.submit(work, p), 240, finish=Future.result, ahead=3)
    np.testing.assert_array_equal(found, ANSWER)
    assert sorted(seen) == list(range(len(LENGTHS)))


def test_one_text_that_does_not_fit_is_named_with_what_to_do() -> None:
    def forward(places: np.ndarray) -> np.ndarray:
        if 3 in places:
            raise RuntimeError("CUDA out of memory")
        return answer(places)

    with pytest.raises(ModelError, match=r"no memory for one text of 200 tokens .*What was scored before is kept\. Lower max_length"):
        run(LENGTHS, forward, 4096)


def test_other_errors_are_not_taken_for_memory() -> None:
    def forward(places: np.ndarray) -> np.ndarray:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run(LENGTHS, forward, 4096)
    assert not out_of_memory(ValueError("memory of a goldfish"))


def test_the_next_batch_begins_before_the_last_is_waited_for() -> None:
    order: list[str] = []

    def forward(places: np.ndarray) -> np.ndarray:
        order.append(f"begin {places[0]}")
        return places

    def finish(places: np.ndarray) -> np.ndarray:
        order.append(f"finish {places[0]}")
        return answer(places)

    np.testing.assert_array_equal(run(LENGTHS[:4], forward, 10, finish=finish), ANSWER[:4])
    assert order[:3] == ["begin 3", "begin 1", "finish 3"]


def test_streams_compute_in_threads_of_their_own_and_leave_the_callers_number_alone() -> None:
    before = torch.get_num_threads()
    pool, n = streams()
    held = threading.Barrier(n)

    def threads() -> tuple[str, int]:
        held.wait(timeout=10)
        return threading.current_thread().name, torch.get_num_threads()

    found = [f.result() for f in [pool.submit(threads) for _ in range(n)]]
    assert len({name for name, _ in found}) == n
    assert {number for _, number in found} == {before // n}
    assert torch.get_num_threads() == before
    assert streams() == (pool, n)
