"""A slider over figures that only Python can compute: the page flips through some, a notebook draws the
rest.
"""
import numbers
from collections.abc import Callable, Sequence

import traitlets

from ilsupport.plots import Drawing
from ilsupport.widgets.static import StaticWidget, packed


class Frames(StaticWidget):
    """A slider over one argument of `draw`, which computes something and returns what `plots.show` returns.

    `Frames(draw, label="demonstrations", n=[5, 10, 20])` calls `draw(n=5)`, `draw(n=10)`, `draw(n=20)` now,
    for the page, and any `draw(n=...)` between them (at whole numbers, if all are) when a reader moves the
    slider in a notebook. `label` defaults to the argument's name. The trait `value` follows the slider, and
    the slider follows it.

    Raises ValueError unless there are at least two increasing values, TypeError unless exactly one argument
    is given a range, and where a drawing is not what `plots.show` returns.
    """

    scripts = ("frames.js",)

    label = traitlets.Unicode().tag(sync=True)
    values = traitlets.List().tag(sync=True)
    value = traitlets.Any().tag(sync=True)
    packed = traitlets.Unicode().tag(sync=True)

    def __init__(self, draw: Callable[..., Drawing], /, label: str = "", **values: Sequence[float]) -> None:
        if len(values) != 1:
            raise TypeError(f"Frames moves one argument, as in n=[5, 10, 20]; got {list(values)}.")
        ((name, stops),) = values.items()
        # NumPy's and torch's numbers become Python's: they go into JSON.
        stops = [int(v) if isinstance(v, numbers.Integral) else float(v) for v in stops]
        if len(stops) < 2 or not all(a < b for a, b in zip(stops, stops[1:], strict=False)):
            raise ValueError(f"a slider needs at least two values, each greater than the last; got {stops}.")
        self._draw = lambda value: _svg(draw(**{name: value}))
        super().__init__(label=label or name, values=stops, value=stops[0],
                         packed=packed([self._draw(value) for value in stops]))
        self.on_msg(self._answer)

    def _answer(self, _widget: StaticWidget, message: dict, _buffers: list) -> None:
        value = message["value"]
        try:
            self.send({"value": value, "svg": self._draw(value)})
        except Exception as error:  # whatever it is: the reader looks at the figure, not at the kernel's log
            self.send({"value": value, "error": f"{type(error).__name__}: {error}"})


def _svg(drawing: Drawing) -> str:
    if not isinstance(drawing, Drawing):
        raise TypeError(f"a frame is what plots.show(fig, alt=...) returns; got {type(drawing).__name__}.")
    return drawing.svg
