"""The base of the book's live figures: one JavaScript file serves the notebook and the built page."""
from __future__ import annotations

import hashlib
import json

import anywidget
import ipywidgets

# What anywidget hands to `render` as a model, so far as a page without a kernel can play it: there is no `send`.
PAGE_MODEL = """\
const state = STATE, listeners = [];
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
const el = document.querySelector('[data-il="NAME"]:not([data-alive])');
el.dataset.alive = "";
ilWidget.render({ model, el });"""


class StaticWidget(anywidget.AnyWidget):
    """An anywidget that also carries itself as HTML, for pages with neither a kernel nor a widget manager.

    A subclass sets `_esm` to a JavaScript file that imports nothing, keeps all logic to itself and ends in
    `export default { render };`. Its synced traits must be JSON; the page starts from the values they have
    when shown.
    """

    def standalone(self) -> str:
        """The widget as an HTML fragment that asks for nothing: the same text whenever the state is the same.

        Raises ValueError if the JavaScript cannot stand inside a `<script>` element.
        """
        source = self._esm
        if source.count("export default ") != 1 or "</script" in source.lower() or "<!--" in source:
            raise ValueError(f"the JavaScript of {type(self).__name__} must hold `export default {{ render }}` "
                             "once, and neither `</script` nor `<!--`, which would end or hide what carries it.")
        # Inside <script> only "<" can do harm, and JSON may spell it as an escape.
        state = json.dumps(self._state(), sort_keys=True, allow_nan=False).replace("<", "\\u003c")
        name = hashlib.sha256((source + state).encode()).hexdigest()[:12]
        source = source.replace("export default ", "const ilWidget = ")
        start = PAGE_MODEL.replace("NAME", name).replace("STATE", state)
        return f'<div data-il="{name}"></div>\n<script type="module">\n{source}\n{{\n{start}\n}}\n</script>'

    def _state(self) -> dict:
        names = set(self.trait_names(sync=True)) - set(ipywidgets.DOMWidget.class_trait_names())
        return {name: getattr(self, name) for name in names if not name.startswith("_")}

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/html": self.standalone()}, metadata
