"""Published filters as data: one YAML file a recipe, each with its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

from explorer.errors import SelectionError
from explorer.selection.filters import Filters


class Recipes(Mapping[str, Filters]):
    """All shipped recipes by name, read when first asked for."""

    def __getitem__(self, name: str) -> Filters:
        found = _load()
        if name not in found:
            raise SelectionError(f"No recipe is called {name!r}. Recipes: {', '.join(found)}. See: explorer recipes")
        return found[name]

    def __contains__(self, name: object) -> bool:
        return name in _load()

    def __iter__(self) -> Iterator[str]:
        return iter(_load())

    def __len__(self) -> int:
        return len(_load())

    def __repr__(self) -> str:
        return f"Recipes({', '.join(self)})"


@cache
def _load() -> dict[str, Filters]:
    texts = {p.name: p.read_text(encoding="utf-8") for p in files(__package__).iterdir() if p.name.endswith(".yaml")}
    return {
        name.removesuffix(".yaml"): Filters.from_yaml(text)
        for name, text in sorted(texts.items(), key=lambda item: item[0].removesuffix(".yaml"))
    }


recipes = Recipes()
