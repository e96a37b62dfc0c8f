"""How much is measured, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from workshop import Sample

GOALS_ITEMS = 100_000
"""So many files the goals are meant for."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The samples of a bench.

    `states` go in without images, `once` in the first round only; `pictured` are those with
    images; `others` are of the other kinds; `batches` is for what is measured with several
    settings. `rounds` is how often all of it is done.
    """

    rounds: int
    states: tuple[Sample, ...]
    pictured: tuple[Sample, ...]
    others: tuple[Sample, ...]
    batches: Sample
    once: tuple[Sample, ...] = ()

    @property
    def judged(self) -> Sample:
        """The sample by which goals are judged: 100,000 files, or the most there are."""
        return self.states[-1]


_SMALL, _MEDIUM = Sample("states", 10_000), Sample("states", 100_000)
# What users of the earlier importer had.
_USUAL = Sample("states", 515, 514)
_PICTURED = (_USUAL, Sample("states", 5_000, 5_000))
_OTHERS = (Sample("folders", 10_000), Sample("people", 500))

# For trying the bench itself: so little says nothing of speed.
_TINY = Sample("states", 700)

SCALES = {
    "tiny": Scale(
        1,
        (_TINY,),
        (Sample("states", 20, 20),),
        (Sample("folders", 50), Sample("people", 2)),
        _TINY,
    ),
    "quick": Scale(1, (_SMALL,), (_USUAL, Sample("states", 1_000, 1_000)), _OTHERS, _SMALL),
    "normal": Scale(3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL),
    "full": Scale(3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL, (Sample("states", 1_000_000),)),
}
