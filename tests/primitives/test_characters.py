from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.primitives.batch import Batch
from explorer.primitives.characters import characters, count_code_points

documents = st.lists(st.none() | st.binary(max_size=40) | st.text(max_size=30).map(lambda t: t.encode("utf-8", "replace")), max_size=6)


@settings(deadline=None, max_examples=400)
@given(documents)
def test_counts_are_those_of_python(raw):
    batch = Batch.of(raw)
    found = characters(batch)
    for d, document in enumerate(raw):
        text = (document or b"").decode("utf-8", "replace")
        assert found.code_points[d] == len(text)
        assert found.words[d] == len(text.split())
        assert found.ill_formed[d] == text.count("\ufffd") - (document or b"").decode("utf-8", "ignore").count("\ufffd")
        assert count_code_points(batch.data, batch.offsets[d], batch.offsets[d + 1]) == len(text)


def test_a_real_replacement_character_is_well_formed():
    found = characters(Batch.of(["a\ufffdb", b"a\xffb", b"\xef\xbf", b"\xef\xbf\xbd\xef"]))
    assert found.ill_formed.tolist() == [0, 1, 1, 1]
