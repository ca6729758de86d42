"""Documents in any order, from buckets of bounded size."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.exporters import sorting


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60), st.integers(1, 20), st.data())
def test_any_order_comes_from_small_buckets_however_uneven_the_documents(tmp_path_factory, lengths, batch, data) -> None:
    n, folder = len(lengths), tmp_path_factory.mktemp("buckets")
    places = np.array(data.draw(st.permutations(range(n))), np.int64)
    schema = pa.schema([("number", pa.int64()), ("text", pa.string())])
    batches = [
        (
            places[a : a + batch],
            pa.record_batch([pa.array(range(a, min(n, a + batch))), ["x" * m for m in lengths[a : a + batch]]], schema=schema),
        )
        for a in range(0, n, batch)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "BUCKET_BYTES", 4000)
        patch.setattr(sorting, "MOST_BUCKETS", 3)  # so that large ones are dealt again
        rows = sorting.by_place(batches, schema, n, 1.0, folder)
    buckets = [(p.stat().st_size, *map(int, p.stem.split("-"))) for p in folder.iterdir()]
    assert all(size <= 8000 or end - begin == 1 for size, begin, end in buckets)
    assert sorted(i for _, begin, end in buckets for i in range(begin, end)) == list(range(n))
    begin, end = sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    found = pa.Table.from_batches(rows(begin, end), schema)
    wanted = np.argsort(places)[begin:end].tolist()
    assert found["number"].to_pylist() == wanted
    assert [len(t) for t in found["text"].to_pylist()] == [lengths[i] for i in wanted]
