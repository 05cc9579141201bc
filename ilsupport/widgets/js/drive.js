// The widget: who drives, the clock, the controls. Without a kernel (no model.send) it drives and is nudged; with one it
// records, asks Python to train, and turns the reader's keys into labels of somebody else's drive.

const KEYS = 'data-lm-suppress-shortcuts="true"'; // else JupyterLab takes the keys
const PUSH = 0.9, LEAST = 20; // half lanes a nudge; fewer steps than this make no drive
const seconds = (steps) => `${(steps * STEP).toFixed(1)} s`;

const MARKUP = `<style>
.il-drive { max-width: 760px; margin: .6em 0; line-height: 1.4; font-size: 14px; color: inherit }
.il-drive .view { position: relative }
.il-drive canvas { display: block; width: 100%; border-radius: 12px; cursor: pointer; touch-action: pan-y; user-select: none; background: #7fa559 }
.il-drive canvas[data-running=true] { touch-action: none; cursor: ew-resize }
.il-drive .il-row { display: flex; flex-wrap: wrap; gap: .45em .6em; align-items: center; margin: .55em 0 0 }
.il-drive button { font: inherit; color: inherit; background: color-mix(in srgb, currentColor 6%, transparent); border: 1px solid color-mix(in srgb, currentColor 55%, transparent); border-radius: 8px; padding: .25em .8em; min-height: 34px; cursor: pointer }
.il-drive button.il-go { background: #0072B2; border-color: #0072B2; color: #fff; font-weight: 650 }
.il-drive button:disabled { opacity: .45; cursor: default }
.il-drive fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3em .5em; min-width: 0; align-items: center }
.il-drive legend { float: left; font-size: inherit; width: auto; padding: 0; margin: 0 .2em 0 0 }
.il-drive label { display: inline-flex; gap: .35em; align-items: center; margin: 0; min-height: 34px; cursor: pointer; padding: 0 .35em }
.il-drive input { margin: 0; width: 16px; height: 16px }
.il-drive label i { width: .8em; height: .8em; border-radius: 50%; border: 1px solid currentColor }
.il-drive p { margin: .45em 0 0; font-size: 13.5px }
.il-drive .line { font-variant-numeric: tabular-nums; font-weight: 600 }
.il-drive .gone { border-left: 4px solid #D55E00; padding-left: .6em }
.il-drive :is(button, input):focus-visible { outline: 3px solid #E69F00; outline-offset: 2px }
.il-drive canvas:focus, .il-drive canvas:focus-visible { outline: 3px solid #E69F00; outline-offset: -3px }
.il-drive [hidden] { display: none }
</style><div class="il-drive"><div class="view"><canvas tabindex="0" role="application" ${KEYS}></canvas></div>
<div class="il-row"><button type="button" class="il-go" data-do="start" ${KEYS}></button>
<button type="button" data-do="left" ${KEYS}>◂ Nudge left</button><button type="button" data-do="right" ${KEYS}>Nudge right ▸</button>
<label><input type="checkbox" data-do="above" ${KEYS}> from above</label></div>
<div class="il-row"><fieldset><legend>At the wheel:</legend><span class="drivers"></span></fieldset></div>
<div class="il-row live" hidden><button type="button" data-do="train" ${KEYS}>Train a clone of me</button>
<button type="button" data-do="coach" ${KEYS}>It drives, I label</button></div>
<p class="line"></p><p role="status"></p><p class="gone" role="alert" hidden></p><p class="help"></p></div>`;

const HELP = {
  you: "Steer with ← → or A D, or hold the road to the left or right of the car. Space or Enter starts and stops, Esc throws the drive away.",
  it: "It drives. ← → or A D nudge it off its lane, and so do the buttons, a click beside the car, or dragging the car. Space or Enter starts and stops.",
  label: "It drives, and does not feel your keys: steer as you would, here and now, with ← → or A D. The blue dots show where you would go. Space or Enter starts and pauses.",
};

const GONE = "Python is gone: the kernel stopped or was restarted. You can go on driving here, but nothing is recorded. "
  + "Run the cell again to record and to train.";
const SILENT = "Python has not answered for 5 s: it is busy with another cell, or gone. You can go on driving.";

function render({ model, el }) {
  const root = document.createElement("div");
  root.innerHTML = MARKUP;
  el.replaceChildren(root);
  const $ = (selector) => root.querySelector(selector), canvas = $("canvas"), g = canvas.getContext("2d");
  const live = Boolean(model.send), horizon = model.get("horizon"), group = `il-driver-${Math.random()}`, held = new Set();
  const retina = Object.assign(document.createElement("canvas"), { width: COLUMNS, height: ROWS });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let wheels = [], at = null, asked = null; // who may drive, who does, and the drive that waits for labels
  let running = false, connected = true, visible = true, frame = 0, last = 0, due = 0, look = DAY, looked = -1e9, view = null;
  let car, before, t, off, astray, wheel, theirs, push, log, trace, pointer = null, drag = null, silence = 0; // `wheel` is the reader's, `theirs` the network's

  // ---- the drive

  function reset() {
    [t, off, wheel, theirs, push, log, trace, due, astray] = [0, 0, 0, 0, 0, [], [], 0, false];
    car = { offset: 0, heading: 0, phases: [...model.get("phases")], along: 0 };
    if (at.kind === "label") car = asked.cars[t = asked.got];
    before = car;
    decide();
  }

  function decide() { // what the network would do here
    const seen = see(features(car), at.net ? at.net.marks : true);
    if (at.net) theirs = act(at.net, seen);
    const image = retina.getContext("2d"), data = image.createImageData(COLUMNS, ROWS);
    seen.forEach((v, i) => data.data.set([255 * v, 255 * v, 255 * v, 255], 4 * i));
    image.putImageData(data, 0, 0);
  }

  function tick() {
    before = car;
    if (at.kind !== "it") {
      wheel = turned(wheel, pointer ?? (held.has("left") ? 1 : 0) - (held.has("right") ? 1 : 0));
      log.push(wheel);
    }
    const moved = clip(push, 0.18); // a nudge takes a few steps
    push -= moved;
    t += 1;
    if (at.kind === "label") car = asked.cars[Math.min(t, asked.cars.length - 1)];
    else car = step({ ...car, offset: clip(car.offset + moved, RAIL) }, at.kind === "it" ? theirs : wheel);
    decide();
    const far = Math.abs(car.offset);
    off += far > 1;
    trace.push([car.along, car.offset]);
    if (trace.length > 400) trace.shift();
    if (astray ? far < 0.8 : far > 1) { // said once, however it wavers on the line
      astray = !astray;
      if (at.kind === "it") say(`${at.name} ${astray ? "leaves the lane" : "is back in the lane"} at ${seconds(t)}.`);
    }
    if (at.kind === "label" && log.length === LEAST) sendLabels();
    if (at.kind === "label" ? t === asked.cars.length : at.kind === "you" && t === horizon) stop();
  }

  function start() {
    if (running) return;
    reset();
    [running, last] = [true, 0];
    say(at.kind === "you" ? `You drive for ${seconds(horizon)}.` : at.kind === "it" ? `${at.name} drives.` : `${at.name} drives: steer as you would.`);
    canvas.focus({ preventScroll: true });
    controls();
  }

  function stop(keep = true) {
    if (!running) return;
    running = false;
    held.clear();
    pointer = drag = null;
    const story = `drove ${seconds(t)}, ${seconds(off)} of them off the lane.`;
    if (at.kind === "it") say(`${at.name} ${story}`);
    else if (at.kind === "label") {
      sendLabels();
      const left = asked.cars.length - asked.got;
      say(left ? `Paused: ${left} labels to go.` : "All labelled. Now a new clone learns from everything so far …");
      if (!left) { asked = null; drivers(); }
    } else if (!keep || log.length < Math.min(LEAST, horizon)) say(keep ? "Too short to keep." : "Thrown away.");
    else {
      send({ kind: "drive", steering: log });
      say(`You ${story}`);
    }
    controls();
  }

  function choose(k) {
    const other = wheels[k], hand = running && at.kind === "it" && other.kind === "it"; // the wheel changes hands in mid-drive
    if (!hand) stop();
    at = other;
    if (hand) { decide(); say(`${at.name} takes the wheel at ${seconds(t)}.`); } else reset();
    controls();
  }

  const nudge = (amount) => { if (running && at.kind === "it") push += amount; };

  // ---- Python

  function send(message) {
    if (!live || !connected) return;
    silence ||= setTimeout(() => alarm(SILENT), 5000);
    model.send(message);
  }

  function sendLabels() { // every second, so that what was labelled is kept whatever happens
    if (!log.length) return;
    send({ kind: "labels", id: asked.id, at: asked.got, steering: log });
    asked.got += log.length;
    log = [];
  }

  function lost() {
    connected = false;
    told({});
    alarm(GONE);
    controls();
  }

  function alarm(words) {
    $(".gone").textContent = words;
    $(".gone").hidden = !words;
  }

  function told({ say: words, drive }) { // whatever Python says, it is there
    clearTimeout(silence);
    silence = 0;
    alarm("");
    if (words) say(words);
    const k = wheels.findIndex((w) => w.kind === "it" && w.name === drive);
    if (k < 0 || running) return;
    choose(k);
    if (visible) start(); // of two views of one widget, the one that is looked at
    if (words) say(words);
  }

  function replay() { // a drive that Python wants labelled
    const { id, by, states, got } = model.get("asked");
    if (id === undefined) asked = null;
    else if (asked?.id !== id) {
      let along = 0;
      const cars = states.map(([offset, heading, ...phases]) => {
        const car = { offset, heading, phases, along };
        along = step(car, 0).along;
        return car;
      });
      asked = { id, by, got, cars };
      if (!running || at.kind === "it") { drivers(); choose(wheels.length - 1); return; }
    }
    drivers();
  }

  // ---- words and controls

  function say(words) { $("[role=status]").textContent = words; }

  function drivers() {
    const nets = model.get("drivers").map(unpack), old = at;
    wheels = [{ kind: "you", name: "you" }, ...nets.map((net) => ({ kind: "it", name: net.name, net }))];
    if (asked) wheels.push({ kind: "label", name: asked.by, net: nets.find((net) => net.name === asked.by) });
    wheels.forEach((w, k) => { w.hue = k ? HUES[(wheels.findIndex((o) => o.name === w.name) - 1) % HUES.length] : YOU; });
    at = wheels.find((w) => w.kind === old?.kind && w.name === old.name) ?? wheels.find((w) => w.name === old?.name) ?? wheels[0];
    $(".drivers").replaceChildren(...wheels.map((w, k) => {
      const label = document.createElement("label"), input = document.createElement("input"), dot = document.createElement("i");
      Object.assign(input, { type: "radio", name: group, value: k });
      input.setAttribute("data-lm-suppress-shortcuts", "true");
      dot.style.background = w.hue;
      label.append(input, dot, w.kind === "label" ? `${w.name}, and I label` : w.name);
      return label;
    }));
    if (car === undefined || (!running && old !== at)) reset();
    controls();
  }

  function controls() {
    const { kind, name } = at, rest = kind === "label" && asked.got ? "Go on labelling" : "Label this drive";
    $("[data-do=start]").textContent = running ? (kind === "label" ? "❚❚ Pause" : "■ Stop")
      : kind === "you" ? "▶ Drive" : kind === "it" ? `▶ Let ${name} drive` : `▶ ${rest}`;
    for (const button of root.querySelectorAll("[data-do=left], [data-do=right]")) [button.hidden, button.disabled] = [kind !== "it", !running];
    $("fieldset").hidden = wheels.length < 2;
    wheels.forEach((w, k) => { $(`input[value="${k}"]`).checked = w === at; });
    $(".live").hidden = !live;
    for (const button of root.querySelectorAll(".live button")) button.disabled = !connected || (running && kind !== "it");
    $("[data-do=coach]").textContent = asked ? "Label its next drive" : "It drives, I label";
    $(".help").textContent = HELP[kind];
    [canvas.dataset.running, canvas.dataset.driver, canvas.dataset.kind] = [running, name, kind];
    const mode = kind === "you" ? "You are at the wheel" : `${name} is at the wheel${kind === "label" ? " and you label" : ""}`;
    canvas.setAttribute("aria-label", `A winding road. ${mode}. ${HELP[kind]}`);
    wake();
  }

  function budget() {
    const { given, total } = model.get("budget"), now = given + (at.kind === "label" ? log.length : 0);
    return live && now ? `${now.toLocaleString("en")}${total ? ` of ${total.toLocaleString("en")}` : ""} labels` : "";
  }

  // ---- the picture

  function wake() { frame ||= requestAnimationFrame(draw); }

  function draw(now) {
    const began = performance.now();
    frame = 0;
    const go = running && visible && !document.hidden && canvas.isConnected;
    if (go) {
      due += last ? Math.min(0.1, (now - last) / 1000) : 0;
      while (running && due >= STEP) { due -= STEP; tick(); }
    }
    last = go ? now : 0;
    paint(running ? due / STEP : 1);
    canvas.dataset.drawMs = (performance.now() - began).toFixed(2);
    canvas.dataset.draws = 1 + +(canvas.dataset.draws || 0);
    if (go && running) wake();
  }

  function paint(u) {
    const W = canvas.clientWidth, H = Math.round(Math.max(0.56 * W, Math.min(300, 0.85 * W))), sharp = Math.min(2, devicePixelRatio || 1);
    if (!W) return; // hidden: the observer calls again
    if (canvas.width !== Math.round(W * sharp) || canvas.height !== Math.round(H * sharp)) {
      [canvas.width, canvas.height, canvas.style.height] = [Math.round(W * sharp), Math.round(H * sharp), `${H}px`];
    }
    if (performance.now() - looked > 1000) { // light or dark is the page's choice, and may change
      looked = performance.now();
      const [r, green, b] = getComputedStyle(root).color.match(/[\d.]+/g).map(Number);
      look = r + green + b > 384 ? NIGHT : DAY;
    }
    g.setTransform(sharp, 0, 0, sharp, 0, 0);
    const mix = (a, b) => a + u * (b - a);
    const now = { offset: mix(before.offset, car.offset), heading: mix(before.heading, car.heading), along: mix(before.along, car.along),
      phases: car.phases.map((p, i) => mix(before.phases[i], p)) };
    const high = $("[data-do=above]").checked, label = at.kind === "label", steering = at.kind === "you" ? wheel : theirs;
    view = high ? above(g, W, H, now, look, trace) : chase(g, W, H, now, look);
    if (at.kind !== "label" || at.net) promise(g, view, now, steering, at.hue);
    if (label) promise(g, view, now, wheel, YOU);
    if (high) drawCarAbove(g, view.at, view.scale, at.hue, view.angle);
    else drawCar(g, view.at, view.scale, at.hue, steering, view.turn, at.name, look);
    instruments(g, W, H, {
      title: at.kind === "you" ? "you drive" : `${at.name} drives${label ? ", you label" : ""}`, hue: at.hue, clock: seconds(t), budget: budget(),
      offset: now.offset, wheels: [...(label && !at.net ? [] : [[steering, at.hue]]), ...(label ? [[wheel, YOU]] : [])], retina,
      call: running ? "" : $("[data-do=start]").textContent.slice(2),
    });
    $(".line").textContent = `${at.kind === "you" ? "You" : at.name}: ${seconds(t)}, off the lane for ${seconds(off)}` + (budget() && ` · ${budget()}`);
    Object.assign(canvas.dataset, { t, off, wheel, offset: car.offset.toFixed(4), heading: car.heading.toFixed(4), bend: curvature(car.phases, 5).toFixed(4) });
  }

  // ---- hands

  const SIDES = { ArrowLeft: "left", a: "left", A: "left", ArrowRight: "right", d: "right", D: "right" };
  canvas.addEventListener("keydown", (event) => {
    const side = SIDES[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (side) { held.add(side); if (!event.repeat) nudge(side === "left" ? PUSH : -PUSH); }
    else if (event.key === " " || event.key === "Enter") { if (!event.repeat) running ? stop() : start(); }
    else if (event.key === "Escape" && running) stop(false);
    else if (!running || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener("keyup", (event) => held.delete(SIDES[event.key]));
  canvas.addEventListener("blur", () => held.clear());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    if (!running) { start(); return; }
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.offsetX, y: event.offsetY, far: 0 };
    steer(event);
  });
  const steer = (event) => { if (at.kind !== "it") pointer = clip((canvas.clientWidth / 2 - event.offsetX) / (0.3 * canvas.clientWidth), 1); };
  const leftOf = (x, y) => { // pixels to half lanes, left positive
    const [lx, ly] = view.onCanvas({ x: 0, y: car.offset * HALF + 1 }), [dx, dy] = [lx - view.at[0], ly - view.at[1]];
    return (x * dx + y * dy) / (dx * dx + dy * dy) / HALF;
  };
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    steer(event);
    const [x, y] = [event.offsetX - drag.x, event.offsetY - drag.y];
    nudge(leftOf(x, y));
    drag = { x: event.offsetX, y: event.offsetY, far: drag.far + Math.hypot(x, y) };
  });
  const release = (event) => {
    if (drag && drag.far < 6 && event.type === "pointerup") nudge(PUSH * Math.sign(leftOf(event.offsetX - view.at[0], event.offsetY - view.at[1])));
    pointer = drag = null;
  };
  for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, release);
  root.addEventListener("click", ({ target }) => {
    const what = target.dataset.do;
    if (what === "start") running ? stop() : start();
    if (what === "left" || what === "right") nudge(what === "left" ? PUSH : -PUSH);
    if (what === "train") { say("Training …"); send({ kind: "train" }); }
    if (what === "coach" && asked) { choose(wheels.length - 1); start(); }
    else if (what === "coach") { say("It drives …"); send({ kind: "coach" }); }
  });
  root.addEventListener("change", ({ target }) => { if (target.name === group) choose(+target.value); wake(); });

  const sizes = new ResizeObserver(wake), sight = new IntersectionObserver(([entry]) => { visible = entry.isIntersecting; wake(); });
  const events = [["change:drivers", drivers], ["change:asked", replay], ["change:budget", wake], ["msg:custom", told], ["comm_live_update", lost], ["destroy", lost]];
  $("[data-do=above]").checked = calm;
  drivers();
  if (live) replay();
  for (const [name, call] of events) model.on(name, call);
  document.addEventListener("visibilitychange", wake);
  sizes.observe(canvas);
  sight.observe(canvas);
  const leave = () => stop(); // what was driven or labelled is kept
  addEventListener("pagehide", leave);
  return () => {
    leave();
    cancelAnimationFrame(frame);
    removeEventListener("pagehide", leave);
    clearTimeout(silence);
    document.removeEventListener("visibilitychange", wake);
    sizes.disconnect();
    sight.disconnect();
    for (const [name, call] of events) model.off(name, call);
  };
}

export default { render };
