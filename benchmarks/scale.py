"""The amount and the number of measurements."""

from __future__ import annotations

from dataclasses import dataclass

from workshop import Sample

GOALS_ITEMS = 100_000
"""The number of files that the goals refer to."""


_FEW_INSIGHTS, _INSIGHTS = Sample("insights", 10_000), Sample("insights", 100_000)


@dataclass(frozen=True, slots=True)
class Scale:
    """The samples of a bench.

    `states` go in without images, `once` in the first round only; `pictured` are those with
    images; `others` are of the other kinds; `insights` have a limit of their own; `batches` is for
    what is measured with several settings. `rounds` is how often all of it is done. `contacts` is
    the number of those whose insights are read.
    """

    rounds: int
    states: tuple[Sample, ...]
    pictured: tuple[Sample, ...]
    others: tuple[Sample, ...]
    batches: Sample
    once: tuple[Sample, ...] = ()
    insights: Sample = _FEW_INSIGHTS
    contacts: int = 100_000

    @property
    def judged(self) -> Sample:
        """The sample of the goals: 100,000 files, or the largest one."""
        return self.states[-1]


_SMALL, _MEDIUM = Sample("states", 10_000), Sample("states", 100_000)
# The amount of data of users of the earlier importer.
_USUAL = Sample("states", 515, 514)
_PICTURED = (_USUAL, Sample("states", 5_000, 5_000))
_OTHERS = (Sample("folders", 10_000), Sample("people", 500))
# For testing the bench itself: too small to measure speed.
_TINY = Sample("states", 700)

SCALES = {
    "tiny": Scale(
        1,
        (_TINY,),
        (Sample("states", 20, 20),),
        (Sample("folders", 50), Sample("people", 2)),
        _TINY,
        insights=Sample("insights", 60),
        contacts=100,
    ),
    "quick": Scale(
        1, (_SMALL,), (_USUAL, Sample("states", 1_000, 1_000)), _OTHERS, _SMALL, contacts=10_000
    ),
    "normal": Scale(3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL, insights=_INSIGHTS),
    "full": Scale(
        3, (_SMALL, _MEDIUM), _PICTURED, _OTHERS, _SMALL, (Sample("states", 1_000_000),), _INSIGHTS
    ),
}
