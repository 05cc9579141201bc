"""A slider over figures that only Python can compute: the page flips through some, a notebook draws the
rest.
"""
from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence

import traitlets

from ilsupport.plots import Drawing
from ilsupport.widgets.packing import packed
from ilsupport.widgets.static import StaticWidget


class Frames(StaticWidget):
    """A slider over `drawings`, one for each of the increasing `values`; `label` says what the value is.

    In a live notebook the slider also stops between the values (at whole numbers, if all values are), and
    there `on_value(value)` draws. The trait `value` follows the slider, and the slider follows it.

    Raises ValueError unless there are at least two increasing values and one drawing each, TypeError where a
    drawing is not what `plots.show` returns.
    """

    scripts = ("frames.js",)

    label = traitlets.Unicode().tag(sync=True)
    values = traitlets.List().tag(sync=True)
    value = traitlets.Any().tag(sync=True)
    packed = traitlets.Unicode().tag(sync=True)
    computes = traitlets.Bool(False).tag(sync=True)

    def __init__(self, drawings: Sequence[Drawing], *, values: Sequence[float], label: str,
                 on_value: Callable[[float], Drawing] | None = None) -> None:
        values = _increasing(values)
        if len(drawings) != len(values):
            raise ValueError(f"{len(drawings)} drawings for {len(values)} values, expected one each.")
        super().__init__(label=label, values=values, value=values[0], computes=on_value is not None,
                         packed=packed([_svg(drawing) for drawing in drawings]))
        self._on_value = on_value
        self.on_msg(self._answer)

    def _answer(self, _widget: Frames, message: dict, _buffers: list) -> None:
        value = message["value"]
        try:
            self.send({"value": value, "svg": _svg(self._on_value(value))})
        except Exception as error:  # whatever it is: the reader looks at the figure, not at the kernel's log
            self.send({"value": value, "error": f"{type(error).__name__}: {error}"})

    def __repr__(self) -> str:
        return f"Frames({self.label!r}, values={self.values})"


def resimulate(function: Callable[..., Drawing], /, label: str = "", **values: Sequence[float]) -> Frames:
    """A slider over one argument of `function`, which computes something and returns what `plots.show`
    returns.

    `resimulate(draw, label="demonstrations", n=[5, 10, 20])` calls `draw(n=5)`, `draw(n=10)`, `draw(n=20)`
    now, for the page, and any `draw(n=...)` between them when a reader moves the slider in a notebook.
    `label` defaults to the argument's name. Raises TypeError unless exactly one argument is given a range.
    """
    if len(values) != 1:
        raise TypeError(f"resimulate moves one argument, as in n=[5, 10, 20]; got {list(values)}.")
    ((name, choices),) = values.items()
    choices, draw = _increasing(choices), lambda value: function(**{name: value})
    return Frames([draw(value) for value in choices], values=choices, label=label or name, on_value=draw)


def _svg(drawing: Drawing) -> str:
    if not isinstance(drawing, Drawing):
        raise TypeError(f"a frame is what plots.show(fig, alt=...) returns; got {type(drawing).__name__}.")
    return drawing.svg


def _increasing(values: Sequence[float]) -> list[float]:
    # NumPy's and torch's numbers become Python's: they go into JSON.
    values = [int(v) if isinstance(v, numbers.Integral) else float(v) for v in values]
    if len(values) < 2 or not all(a < b for a, b in zip(values, values[1:], strict=False)):
        raise ValueError(f"a slider needs at least two values, each greater than the last; got {values}.")
    return values
