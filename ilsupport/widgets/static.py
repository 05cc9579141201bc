"""The base of the book's live figures: one JavaScript source serves the notebook and the built page."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import anywidget
import ipywidgets

SCRIPTS = Path(__file__).parent / "js"


class StaticWidget(anywidget.AnyWidget):
    """An anywidget that also stands in pages with neither a kernel nor a widget manager.

    A subclass names its `scripts`, files of widgets/js that are joined in this order; none of them imports
    anything, and the last ends in `export default { render };`. (Or it sets `_esm` to one such text.) Its
    synced traits must be JSON; the page starts from the values they have when shown.
    """

    scripts: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs) -> None:
        if "scripts" in vars(cls):
            cls._esm = "\n".join(map(_read, cls.scripts))
        super().__init_subclass__(**kwargs)

    def placeholder(self) -> str:
        """Its place on a page, as HTML: name and state; `page_script` brings the JavaScript."""
        names = set(self.trait_names(sync=True)) - set(ipywidgets.DOMWidget.class_trait_names())
        state = {name: getattr(self, name) for name in names if not name.startswith("_")}
        # Inside <script> only "<" can do harm, and JSON may spell it as an escape.
        text = json.dumps(state, sort_keys=True, allow_nan=False).replace("<", "\\u003c")
        return (f'<div data-il="{self._name()}"><script type="application/json">{text}</script>'
                "<p>This figure is alive in the built book, and here once its cell is run.</p></div>")

    def standalone(self) -> str:
        """The widget as an HTML fragment that asks for nothing; the same text whenever the state is the same.

        Raises ValueError if the JavaScript cannot stand inside a `<script>` element.
        """
        name = self._name()
        script = page_script([name]) if self.scripts else _script({name: self._esm})
        return f"{self.placeholder()}\n{script}"

    def _name(self) -> str:
        own = hashlib.sha256(self._esm.encode()).hexdigest()[:12]
        return " ".join(self.scripts) or f"{type(self).__name__}-{own}"

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        # The scripts are put in when the site is built; what a page makes up itself has to travel with it.
        return data | {"text/html": self.placeholder() if self.scripts else self.standalone()}, metadata


def page_script(names: Iterable[str]) -> str:
    """The `<script>` for the placeholders of these names (their `data-il`), each file of JavaScript once.

    The names in shared files are seen by all figures, those in a figure's last file by nobody else.
    """
    files = {name: name.split() for name in names}
    shared = dict.fromkeys(file for *first, _ in files.values() for file in first)
    return _script({name: _read(last) for name, (*_, last) in files.items()}, *map(_read, shared))


def _read(file: str) -> str:
    return (SCRIPTS / file).read_text(encoding="utf-8")


def _script(figures: dict[str, str], *shared: str) -> str:
    own = []
    for name, source in figures.items():
        whole = "".join([*shared, source]).lower()
        if source.count("export default ") != 1 or "</script" in whole or "<!--" in whole:
            raise ValueError(f"the JavaScript of {name} must hold `export default {{ render }}` once, and "
                             "neither `</script` nor `<!--`, which would end or hide what carries it.")
        own.append("{\n" + source.replace("export default ", f"ilWidgets[{json.dumps(name)}] = ") + "\n}")
    parts = ['<script type="module">', *shared, "const ilWidgets = {};", *own, _read("mount.js"), "</script>"]
    return "\n".join(parts)
