"""The amount and the number of measurements."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workshop import Sample

GOALS_ITEMS = 100_000
"""The number of files that the goals refer to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The samples of a bench.

    `states` go in without images, `once` in the first round only; `pictured` are those with
    images; `others` are of the other kinds; `recognitions` have photos of the usual size, or tiny
    ones; `boxes` is a file of annotations; `insights` have a limit of their own; `batches` is for
    what is measured with several settings. `rounds` is how often all of it is done. `contacts`
    have an insight each, for what a client reads.
    """

    rounds: int
    states: tuple[Sample, ...]
    pictured: tuple[Sample, ...]
    others: tuple[Sample, ...]
    recognitions: tuple[Sample, ...]
    boxes: Sample
    insights: Sample
    contacts: int
    batches: Sample
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
_TRAYS = Sample("recognitions", 1_000, 2_000)
_FEW_TRAYS, _MANY_TRAYS = ((_TRAYS, Sample("recognitions", items)) for items in (5_000, 100_000))

_FEW_BOXES, _BOXES = Sample("annotations", 100_000), Sample("annotations", 1_000_000)
_FEW_INSIGHTS, _INSIGHTS = Sample("insights", 10_000), Sample("insights", 100_000)
# For testing the bench itself: too small to measure speed.
_TINY = Sample("states", 700)

_NORMAL = Scale(
    rounds=3,
    states=(_SMALL, _MEDIUM),
    pictured=_PICTURED,
    others=_OTHERS,
    recognitions=_FEW_TRAYS,
    boxes=_BOXES,
    insights=_INSIGHTS,
    contacts=100_000,
    batches=_SMALL,
)

SCALES = {
    "tiny": Scale(
        rounds=1,
        states=(_TINY,),
        pictured=(Sample("states", 20, 20),),
        others=(Sample("folders", 50), Sample("people", 2)),
        recognitions=(Sample("recognitions", 10, 20), Sample("recognitions", 20)),
        boxes=Sample("annotations", 2_000),
        insights=Sample("insights", 60),
        contacts=200,
        batches=_TINY,
    ),
    "quick": replace(
        _NORMAL,
        rounds=1,
        states=(_SMALL,),
        pictured=(_USUAL, Sample("states", 1_000, 1_000)),
        boxes=_FEW_BOXES,
        insights=_FEW_INSIGHTS,
        contacts=10_000,
    ),
    "normal": _NORMAL,
    "full": replace(_NORMAL, recognitions=_MANY_TRAYS, once=(Sample("states", 1_000_000),)),
}
