// Bodies of capsules, side by side on one clock. Frames hold both ends of every capsule in mm; the camera follows the body.

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"], WIDTH = 2800, HEIGHT = 2300;
const STYLE = `<style>
.il-film { margin: .5em 0; color: inherit }
.il-film .screens { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(240px, 100%), 1fr)); gap: .8em; max-width: 856px }
.il-film figure { margin: 0 }
.il-film svg { display: block; width: 100%; background: none; border: 1px solid; border-radius: 6px; border-color: color-mix(in srgb, currentColor 25%, transparent) }
.il-film path { stroke-linecap: round } /* a page's own style sheet may say otherwise */
.il-film figcaption { font-variant-numeric: tabular-nums; text-align: left; margin: .2em 0 0 }
.il-film .controls { display: flex; align-items: center; gap: .8em; max-width: 856px; margin-top: .4em }
.il-film button { font: inherit; color: inherit; background: none; border: 1px solid currentColor; border-radius: 6px; padding: .2em .8em; min-width: 5em; min-height: 28px; cursor: pointer }
.il-film input { flex: 1; min-height: 24px; accent-color: #0072B2 }
.il-film :focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
</style>`;

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function ground(x, y, tilt) { // a line each metre, so that a reader sees the body move
  let path = "", labels = "";
  const bottom = tilt ? HEIGHT : HEIGHT - 260;
  for (let m = Math.ceil((x - WIDTH / 2) / 1000); m * 1000 < x + WIDTH / 2; m++) {
    const at = m * 1000 - x + WIDTH / 2;
    path += `M${at} ${tilt ? 0 : bottom}V${tilt ? HEIGHT : bottom + 60}`;
    labels += `<text x="${at + 25}" y="${HEIGHT - 90}">${m} m</text>`;
  }
  if (!tilt) path += `M0 ${bottom}H${WIDTH}`;
  else for (let m = Math.ceil((y - HEIGHT / 2) / 600); m * 600 < y + HEIGHT / 2; m++) path += `M0 ${HEIGHT / 2 - m * 600 + y}H${WIDTH}`;
  return `<path d="${path}" stroke="currentColor" stroke-opacity=".35" stroke-width="10" fill="none"/>
<g fill="currentColor" font-size="130">${labels}</g>`;
}

function body(frame, clip, colour, x, y, tilt) {
  return clip.radii.map((r, i) => {
    const [ax, ay, bx, by] = frame.slice(4 * i, 4 * i + 4), base = tilt ? HEIGHT / 2 + y : HEIGHT - 260;
    const line = `M${ax - x + WIDTH / 2} ${base - ay}L${bx - x + WIDTH / 2 + 0.1} ${base - by}`;
    return `<path d="${line}" stroke="currentColor" stroke-width="${2 * r + 24}"/>
<path d="${line}" stroke="${colour}" stroke-width="${2 * r}"/>` + (clip.pale[i] ? `<path d="${line}" stroke="#fff" stroke-opacity=".45" stroke-width="${2 * r}"/>` : "");
  }).join("");
}

async function render({ model, el }) {
  const root = document.createElement("div"), clips = model.get("clips"), step = model.get("frame"), tilt = model.get("tilt");
  root.className = "il-film";
  root.innerHTML = `${STYLE}<div class="screens" role="img">${clips.map(() => `<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}"
aria-hidden="true"></svg><figcaption></figcaption></figure>`).join("")}</div>
<div class="controls"><button type="button"></button><input type="range" min="0" step="1" value="0" aria-label="time" data-lm-suppress-shortcuts="true"></div>`;
  root.querySelector(".screens").setAttribute("aria-label", model.get("alt"));
  el.replaceChildren(root);
  const films = await unpack(model.get("packed")), button = root.querySelector("button"), slider = root.querySelector("input");
  const length = Math.max(...films.map(([frames]) => frames.length)), screens = [...root.querySelectorAll("figure")];
  let playing = false, wanted = !matchMedia("(prefers-reduced-motion: reduce)").matches, began = 0, request = 0;
  slider.max = length - 1;

  function draw() {
    const now = +slider.value;
    films.forEach(([frames, returns, fell], k) => {
      const t = Math.min(now, frames.length - 1), torso = clips[k].torso;
      const middle = (j) => (frames[t][4 * torso + j] + frames[t][4 * torso + 2 + j]) / 2, x = middle(0), y = tilt ? middle(1) : 0;
      screens[k].querySelector("svg").innerHTML = ground(x, y, tilt) + body(frames[t], clips[k], COLOURS[k % 4], x, y, tilt);
      const end = now >= frames.length - 1 && fell ? `fell after ${(t * step).toFixed(1)} s` : `${(now * step).toFixed(1)} s`;
      screens[k].querySelector("figcaption").textContent = `${clips[k].name}: ${end}, ${(x / 1000).toFixed(1).replace("-0.0", "0.0")} m, return ${returns[t]}`;
    });
    slider.setAttribute("aria-valuetext", `${(now * step).toFixed(1)} seconds`);
    button.textContent = playing ? "Pause" : "Play";
  }

  function tick(time) {
    if (!playing) return;
    slider.value = Math.floor((time - began) / 1000 / step) % (length + Math.round(1 / step)); // a second's rest at the end
    draw();
    request = requestAnimationFrame(tick);
  }

  function play(yes) {
    cancelAnimationFrame(request);
    playing = yes;
    if (yes) began = performance.now() - (+slider.value >= length - 1 ? 0 : +slider.value) * step * 1000;
    draw();
    if (yes) request = requestAnimationFrame(tick);
  }

  button.addEventListener("click", () => { wanted = !playing; play(wanted); });
  slider.addEventListener("input", () => { wanted = false; play(false); });
  const watcher = new IntersectionObserver(([entry]) => play(wanted && entry.isIntersecting), { threshold: 0.3 });
  watcher.observe(root);
  draw();
  return () => { watcher.disconnect(); cancelAnimationFrame(request); };
}

export default { render };
