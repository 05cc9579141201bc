// A slider that flips through finished figures. With a kernel it also stops between them, and Python draws there.

const BETWEEN = 8; // stops from one finished figure to the next

function stopsBetween(values) {
  const whole = values.every(Number.isInteger), stops = [];
  values.forEach((a, i) => {
    const b = values[i + 1] ?? a;
    for (let k = 0; k < (i + 1 < values.length ? BETWEEN : 1); k++) {
      const x = k ? a + (b - a) * k / BETWEEN : a;
      stops.push(whole ? Math.round(x) : Number(x.toPrecision(6)));
    }
  });
  return [...new Set(stops)];
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const MARKUP = `<style>
.il-frames { margin: .5em 0; color: inherit }
.il-frames label { display: grid; grid-template-columns: 1fr auto; max-width: 420px; margin: 0 0 .4em }
.il-frames input { grid-column: 1 / 3; width: 100%; min-height: 24px; margin: .2em 0 0; accent-color: #0072B2 }
.il-frames input:focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
.il-frames .value { font-weight: 650; font-variant-numeric: tabular-nums; padding: 0; margin: 0 }
.il-frames .figure[aria-busy=true] { opacity: .5 }
.il-frames .figure svg { background: none }
</style><div class="il-frames"><label><span></span><span class="value" aria-hidden="true"></span>
<input type="range" min="0" step="1" data-lm-suppress-shortcuts="true"></label><div class="figure"></div><p role="alert"></p></div>`;

async function render({ model, el }) {
  const root = document.createElement("div");
  root.innerHTML = MARKUP;
  el.replaceChildren(root);
  const $ = (selector) => root.querySelector(selector), figure = $(".figure"), input = $("input");
  const values = model.get("values"), figures = new Map();
  const live = Boolean(model.send), stops = live ? stopsBetween(values) : values;
  let asked = null;
  $("span").textContent = model.get("label");
  input.max = stops.length - 1;

  function draw() {
    const value = model.get("value"), place = stops.reduce((k, v, i) => (Math.abs(v - value) < Math.abs(stops[k] - value) ? i : k), 0);
    const stop = stops[place], svg = figures.get(stop);
    if (+input.value !== place) input.value = place;
    $(".value").textContent = String(stop);
    input.setAttribute("aria-valuetext", `${model.get("label")}: ${stop}`);
    figure.setAttribute("aria-busy", String(svg === undefined));
    if (svg !== undefined) {
      if (figure.dataset.value !== String(stop)) figure.innerHTML = svg;
      figure.dataset.value = stop;
      $("p").textContent = "";
    } else if (live && asked === null) { // one question at a time: a dragged slider asks for where it is now, not where it was
      asked = stop;
      model.send({ value: stop });
    }
  }

  function answer({ value, svg, error }) {
    asked = null;
    if (error === undefined) figures.set(value, svg);
    else $("p").textContent = error;
    if (error === undefined || model.get("value") !== value) draw();
  }

  input.addEventListener("input", () => { model.set("value", stops[+input.value]); model.save_changes(); });
  model.on("change:value", draw);
  model.on("msg:custom", answer);
  (await unpack(model.get("packed"))).forEach((svg, i) => figures.set(values[i], svg));
  draw();
  return () => { model.off("change:value", draw); model.off("msg:custom", answer); };
}

export default { render };
