"""The amount and the number of measurements."""

from __future__ import annotations

from dataclasses import dataclass

from workshop import Sample

GOALS_ITEMS = 100_000
"""The number of files that the goals refer to."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The samples of a bench.

    `states` go in without images, `once` in the first round only; `pictured` are those with
    images; `others` are of the other kinds; `batches` is for what is measured with several
    settings; `boxes` is a file of annotations. `rounds` is how often all of it is done.
    """

    rounds: int
    states: tuple[Sample, ...]
    pictured: tuple[Sample, ...]
    others: tuple[Sample, ...]
    batches: Sample
    boxes: Sample
    once: tuple[Sample, ...] = ()

    @property
    def judged(self) -> Sample:
        """The sample of the goals: 100,000 files, or the largest one."""
        return self.states[-1]


_SMALL, _MEDIUM = Sample("states", 10_000), Sample("states", 100_000)
# The amount of data of users of the earlier importer.
_USUAL = Sample("states", 515, 514)
_PICTURED = (_USUAL, Sample("states", 5_000, 5_000))
_OTHERS = (Sample("folders", 10_000), Sample("people", 500))

_FEW_BOXES, _BOXES = Sample("annotations", 100_000), Sample("annotations", 1_000_000)

# For testing the bench itself: too small to measure speed.
_TINY = Sample("states", 700)

SCALES = {
    "tiny": Scale(
        1,
        (_TINY,),
        (Sample("states", 20, 20),),
        (Sample("folders", 50), Sample("people", 2)),
        _TINY,
        Sample("annotations", 2_000),
    ),
    "quick": Scale(
        1, (_SMALL,), (_USUAL, Sample("states", 1_000, 1_000)), _OTHERS, _SMALL, _FEW_BOXES
    ),
    "normal": Scale(3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL, _BOXES),
    "full": Scale(
        3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL, _BOXES, (Sample("states", 1_000_000),)
    ),
}
