"""A flame graph as an SVG file without scripts, for any browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from zlib import crc32

from stacks import Stack

_WIDTH, _ROW, _LETTER = 1600.0, 17, 6.6
_NARROWEST = 0.4


@dataclass(slots=True)
class _Node:
    count: int = 0
    below: dict[str, _Node] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """The number of rows that it needs."""
        return 1 + max((node.depth for node in self.below.values()), default=0)


def flame_graph(stacks: Iterable[Stack], title: str, seconds_a_sample: float) -> str:
    """The flame graph of all stacks that do not wait for work: by place, phase and function.

    The width of a box is the time with its function on the stack; its callees are below it. The
    mouse pointer shows name and time.
    """
    root = _Node()
    for stack in stacks:
        if stack.waiting:
            continue
        node = root
        node.count += stack.count
        for name in (stack.place, stack.phase, *stack.frames):
            node = node.below.setdefault(name, _Node())
            node.count += stack.count
    height = _ROW * (root.depth + 2)
    boxes = _boxes(root, title, 0.0, 0, _WIDTH / max(1, root.count), seconds_a_sample)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height}"'
            ' font-family="monospace" font-size="11">',
            *boxes,
            "</svg>\n",
        )
    )


def _boxes(
    node: _Node, name: str, x: float, row: int, scale: float, seconds: float
) -> Iterator[str]:
    width = node.count * scale
    if width < _NARROWEST:
        return
    y = row * _ROW
    letters = int((width - 4) / _LETTER)
    label = name if len(name) <= letters else f"{name[: letters - 1]}…" if letters > 3 else ""
    yield (
        f"<g><title>{escape(name)}: {node.count * seconds:.2f} s</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(width - 0.3, 0.3):.1f}" height="{_ROW - 1}"'
        f' fill="{_colour(name)}"/><text x="{x + 3:.1f}" y="{y + 12}">{escape(label)}</text></g>'
    )
    for below_name, below in sorted(node.below.items()):
        yield from _boxes(below, below_name, x, row + 1, scale, seconds)
        x += below.count * scale


def _colour(name: str) -> str:
    """A warm colour, always the same for a function; ours are a little stronger."""
    number = crc32(name.encode())
    light = 62 if "(imports/" in name else 76
    return f"hsl({10 + number % 45} 85% {light + number // 64 % 8}%)"
