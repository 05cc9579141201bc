"""The base of the book's live figures: one JavaScript source serves the notebook and the built page."""
import base64
import json
import zlib
from collections.abc import Iterable
from pathlib import Path

import anywidget
import ipywidgets
from torch import Tensor

SCRIPTS = Path(__file__).parent / "js"


class StaticWidget(anywidget.AnyWidget):
    """An anywidget that also stands in pages with neither a kernel nor a widget manager.

    A subclass names its `scripts`, files of widgets/js that are joined in this order; none of them imports
    anything, holds `</script` or `<!--`, and the last ends in `export default { render };`. Its synced traits
    must be JSON; the page starts from the values they have when shown.
    """

    scripts: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs) -> None:
        if "scripts" in vars(cls):  # traitlets makes subclasses of its own
            cls._esm = "\n".join(map(_read, cls.scripts))
        super().__init_subclass__(**kwargs)

    def placeholder(self) -> str:
        """Its place on a page, as HTML: name and state; `page_script` brings the JavaScript."""
        # Inside <script> only "<" can do harm, and JSON may spell it as an escape.
        text = json.dumps(self._state(), allow_nan=False).replace("<", "\\u003c")
        return (f'<div data-il="{" ".join(self.scripts)}"><script type="application/json">{text}</script>'
                "<p>This figure is alive in the built book, and here once its cell is run.</p></div>")

    def _state(self) -> dict:
        names = set(self.trait_names(sync=True)) - set(ipywidgets.DOMWidget.class_trait_names())
        return {name: getattr(self, name) for name in sorted(names) if not name.startswith("_")}

    def __repr__(self) -> str:
        short = [f"{name}={x!r}" for name, x in self._state().items() if len(repr(x)) <= 80]
        return f"{type(self).__name__}({', '.join(short)})"

    def standalone(self) -> str:
        """The widget as an HTML fragment that asks for nothing; the same text whenever the state is the same.
        """
        return f"{self.placeholder()}\n{page_script([' '.join(self.scripts)])}"

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": self.placeholder()}, metadata  # the scripts come when the site is built


def page_script(names: Iterable[str]) -> str:
    """The `<script>` for the placeholders of these names (their `data-il`), each file of JavaScript once.

    The names in shared files are seen by all figures, those in a figure's last file by nobody else.
    """
    files = {name: name.split() for name in names}
    shared = dict.fromkeys(file for *first, _ in files.values() for file in first)
    own = ["{\n" + _read(last).replace("export default ", f"ilWidgets[{json.dumps(name)}] = ") + "\n}"
           for name, (*_, last) in files.items()]
    return "\n".join(['<script type="module">', *map(_read, shared), "const ilWidgets = {};", *own,
                      _read("mount.js"), "</script>"])


def packed(value: object) -> str:
    """What JSON can hold, compressed: what repeats itself, from frame to frame, packs to a fraction."""
    return _text(zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9))


def halves(x: Tensor) -> str:
    """The numbers of a tensor, row by row, as float16."""
    return _text(x.detach().cpu().half().numpy().tobytes())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(file: str) -> str:
    return (SCRIPTS / file).read_text(encoding="utf-8")
