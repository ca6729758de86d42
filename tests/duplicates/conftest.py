"""Open planted documents as a corpus."""

import pytest
from planted import DOCUMENTS

from explorer.corpus.corpus import open_corpus


@pytest.fixture
def make_corpus(write_parquet, tmp_path):
    """Write rows (id, text, source, date, stars) in files of ``rows`` and row groups of three, and open them."""

    def make(documents=DOCUMENTS, name="dup", rows=5):
        for start in range(0, len(documents), rows):
            ids, texts, sources, dates, stars = zip(*documents[start : start + rows], strict=True)
            columns = {"id": ids, "text": texts, "source": sources, "date": dates, "stars": stars}
            write_parquet(f"{name}/{start:06d}.parquet", columns, row_group_size=3)
        return open_corpus(tmp_path / name, workspace=tmp_path / f"{name}-ws")

    return make
