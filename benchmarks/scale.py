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
    images; `others` are of the other kinds; `recognitions` have photos of the usual size, or tiny
    ones; `batches` is for what is measured with several settings; `boxes` is a file of annotations.
    `rounds` is how often all of it is done.
    """

    rounds: int
    states: tuple[Sample, ...]
    pictured: tuple[Sample, ...]
    others: tuple[Sample, ...]
    batches: Sample
    boxes: Sample
    once: tuple[Sample, ...] = ()
    recognitions: tuple[Sample, ...] = ()

    @property
    def judged(self) -> Sample:
        """The sample of the goals: 100,000 files, or the largest one."""
        return self.states[-1]


_SMALL, _MEDIUM = Sample("states", 10_000), Sample("states", 100_000)
# The amount of data of users of the earlier importer.
_USUAL = Sample("states", 515, 514)
_PICTURED = (_USUAL, Sample("states", 5_000, 5_000))
_OTHERS = (Sample("folders", 10_000), Sample("people", 500))
_TRAYS = Sample("recognitions", 1_000, 2_000)
_FEW_TRAYS, _MANY_TRAYS = ((_TRAYS, Sample("recognitions", items)) for items in (5_000, 100_000))

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
        recognitions=(Sample("recognitions", 10, 20), Sample("recognitions", 20)),
    ),
    "quick": Scale(
        *(1, (_SMALL,), (_USUAL, Sample("states", 1_000, 1_000)), _OTHERS, _SMALL, _FEW_BOXES),
        recognitions=_FEW_TRAYS,
    ),
    "normal": Scale(
        *(3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL, _BOXES), recognitions=_FEW_TRAYS
    ),
    "full": Scale(
        *(3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL, _BOXES),
        once=(Sample("states", 1_000_000),),
        recognitions=_MANY_TRAYS,
    ),
}
