"""Show me."""

from explorer.ui.format import short
from explorer.ui.frame import question
from explorer.ui.state import current_corpus

corpus = current_corpus()
answer = question("Show me.")
answer(f"<b>{short(len(corpus))}</b> documents")
