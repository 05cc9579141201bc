"""The base of the book's live figures: one JavaScript source serves the notebook and the built page."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import anywidget
import ipywidgets

SCRIPTS = Path(__file__).parent / "js"

# What anywidget hands to `render` as a model, so far as a page without a kernel can play it: there is no `send`.
MOUNT = """\
for (const el of document.querySelectorAll("[data-il]:not([data-alive])")) {
  const widget = ilWidgets[el.dataset.il];
  if (!widget) continue;
  el.dataset.alive = "";
  const state = JSON.parse(el.querySelector("script").textContent), listeners = [];
  el.replaceChildren();
  const model = {
    get: (key) => state[key],
    set(key, value) {
      if (state[key] === value) return;
      state[key] = value;
      for (const [name, call] of [...listeners]) if (name === "change" || name === "change:" + key) call();
    },
    save_changes() {},
    on(name, call) { listeners.push([name, call]); },
    off(name, call) {
      listeners.splice(0, listeners.length, ...listeners.filter((l) => l[0] !== name || l[1] !== call));
    },
  };
  try { widget.render({ model, el }); } catch (error) { reportError(error); } // the other figures live on
}"""


class StaticWidget(anywidget.AnyWidget):
    """An anywidget that also stands in pages with neither a kernel nor a widget manager.

    A subclass names its `scripts`, files of widgets/js that are joined in this order; none of them imports anything, and
    the last ends in `export default { render };`. (Or it sets `_esm` to one such text.) Its synced traits must be JSON;
    the page starts from the values they have when shown.
    """

    scripts: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs) -> None:
        if "scripts" in vars(cls):
            cls._esm = "\n".join(map(_read, cls.scripts))
        super().__init_subclass__(**kwargs)

    def placeholder(self) -> str:
        """The place of the widget on a page, as HTML: its name and its state, not its JavaScript (`page_script`)."""
        # Inside <script> only "<" can do harm, and JSON may spell it as an escape.
        state = json.dumps(self._state(), sort_keys=True, allow_nan=False).replace("<", "\\u003c")
        return f'<div data-il="{self._name()}"><script type="application/json">{state}</script></div>'

    def standalone(self) -> str:
        """The widget as an HTML fragment that asks for nothing: the same text whenever the state is the same.

        Raises ValueError if the JavaScript cannot stand inside a `<script>` element.
        """
        script = page_script([self._name()]) if self.scripts else _script("", {self._name(): self._esm})
        return f"{self.placeholder()}\n{script}"

    def _name(self) -> str:
        return " ".join(self.scripts) or f"{type(self).__name__}-{hashlib.sha256(self._esm.encode()).hexdigest()[:12]}"

    def _state(self) -> dict:
        names = set(self.trait_names(sync=True)) - set(ipywidgets.DOMWidget.class_trait_names())
        return {name: getattr(self, name) for name in names if not name.startswith("_")}

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        # The scripts are put in when the site is built; what a page makes up itself has to travel with it.
        return data | {"text/html": self.placeholder() if self.scripts else self.standalone()}, metadata


def page_script(names: Iterable[str]) -> str:
    """The `<script>` that brings the placeholders of these names (`data-il`) to life, each file of JavaScript in it once."""
    instruments = [name.split() for name in names]
    shared = dict.fromkeys(part for *parts, _ in instruments for part in parts)
    return _script("\n".join(map(_read, shared)), {" ".join(parts): _read(parts[-1]) for parts in instruments})


def _read(script: str) -> str:
    return (SCRIPTS / script).read_text(encoding="utf-8")


def _script(shared: str, instruments: dict[str, str]) -> str:
    """Shared names are visible to all instruments, an instrument's own to nobody else."""
    for name, source in instruments.items():
        if source.count("export default ") != 1 or "</script" in (shared + source).lower() or "<!--" in shared + source:
            raise ValueError(f"the JavaScript of {name} must hold `export default {{ render }}` once, and neither "
                             "`</script` nor `<!--`, which would end or hide what carries it.")
    own = ["{\n" + source.replace("export default ", f"ilWidgets[{json.dumps(name)}] = ") + "\n}"
           for name, source in instruments.items()]
    return "\n".join(['<script type="module">', shared, "const ilWidgets = {};", *own, MOUNT, "</script>"])
