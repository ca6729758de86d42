"""What is in here? First paint from the footers alone; figures that need the texts follow as they are there."""

from explorer.ui import overview
from explorer.ui.errors import guarded
from explorer.ui.frame import question
from explorer.ui.state import current_corpus

corpus = current_corpus()
answer = question("What is in here?")
with guarded("counting from the footers"):
    overview.footer_cards(corpus, answer)
with guarded("offering what is next"):
    overview.what_next(corpus)
with guarded("looking at the documents"):
    overview.figures(corpus, answer)
with guarded("listing columns and roles"):
    overview.schema_and_roles(corpus)
