// Brings the placeholders of a page without a kernel to life: each gets what anywidget hands to `render`, so far as a page
// can play it (there is no `send`). `ilWidgets` has the figures by name.
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
}
