"""The measurements of all rounds, their medians and ratios."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from measurement import Measurement


class Results:
    """Measurements by name (`first/postgresql/states-10000`) and round."""

    def __init__(self) -> None:
        """Starts without measurements."""
        self._rounds: dict[str, dict[int, Measurement]] = {}

    def add(self, key: str, round_: int, measurement: Measurement) -> None:
        """Adds a measurement."""
        self._rounds.setdefault(key, {})[round_] = measurement

    def __contains__(self, key: str) -> bool:
        """Whether there are measurements with this name."""
        return key in self._rounds

    def all(self, key: str) -> list[Measurement]:
        """The measurements with this name, round by round."""
        return list(self._rounds.get(key, {}).values())

    def keys(self, prefix: str) -> list[str]:
        """The names that begin with a prefix."""
        return [key for key in self._rounds if key.startswith(prefix)]

    def median(self, key: str, of: Callable[[Measurement], float | None]) -> float | None:
        """The median of a value over all rounds; None if there is none."""
        values = [value for each in self.all(key) if (value := of(each)) is not None]
        return statistics.median(values) if values else None

    def seconds(self, key: str) -> float | None:
        """The median of the seconds."""
        return self.median(key, lambda each: each.seconds)

    def ratio(self, key: str, *references: str) -> float | None:
        """How many times as long it took as the references together.

        The median of the ratios within each round, so that what slows a whole round is no
        matter; None where a part of it was not measured.
        """
        return self.ratio_of(key, lambda each: each.seconds, *references)

    def ratio_of(
        self, key: str, of: Callable[[Measurement], float | None], *references: str
    ) -> float | None:
        """The same for another value than the total seconds."""
        ratios = []
        for round_, measurement in self._rounds.get(key, {}).items():
            bases = [self._rounds.get(name, {}).get(round_) for name in references]
            value, base = of(measurement), sum(each.seconds for each in bases if each)
            if value is not None and base and all(bases):
                ratios.append(value / base)
        return statistics.median(ratios) if ratios else None

    def write(self, path: Path, about: dict[str, object]) -> None:
        """Writes all measurements as JSON."""
        content = {
            **about,
            "measurements": {
                key: {str(round_): asdict(each) for round_, each in rounds.items()}
                for key, rounds in self._rounds.items()
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_results(path: Path) -> Results:
    """Reads the results from a file that `write` has written."""
    results = Results()
    for key, rounds in json.loads(path.read_text(encoding="utf-8"))["measurements"].items():
        for round_, each in rounds.items():
            results.add(key, int(round_), Measurement(**each))
    return results
