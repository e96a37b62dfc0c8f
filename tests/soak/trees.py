"""Random sources of each kind, hostile items among them."""

from __future__ import annotations

import random
from pathlib import Path

from tests.soak.folders import Folders
from tests.soak.persons import Persons
from tests.soak.states import States
from tests.soak.tree import Tree

_MAKERS = {"states": States, "folders": Folders, "people": Persons}


def random_tree(kind: str, folder: Path, chance: random.Random) -> Tree:
    """A source of a kind, with some hostile items."""
    folder.mkdir(parents=True)
    tree = Tree(kind, folder, keeps=kind != "people" or chance.random() < 0.25)
    maker = _MAKERS[kind](tree, chance)
    for _ in range(chance.choice([3, 30, 120])):
        maker.good()
    hostile = maker.hostile()
    # What is kept and good in all can be consumed at the end.
    most = 0 if kind == "people" and tree.keeps and chance.random() < 0.5 else len(hostile)
    for make in chance.sample(hostile, chance.randint(0, most)):
        make()
    tree.grow = maker.grow
    return tree
