// The cost of a learner that errs with chance eps on the rope, over a horizon of T steps. Costs are 1 a mistake and 1 a
// step off the rope; a learner off the rope is put back with chance rho a step. The same numbers as ilsupport.bounds.

// ---- numbers

// An assumption says how often the learner may err at step t; `next(t, draw)` is the time of its next mistake from t on.
const ASSUMPTIONS = {
  S: {
    error: (eps) => () => eps,
    next: (eps) => { const wait = geometric(eps); return (t, draw) => t + wait(draw); },
    someFall: (eps, T) => -Math.expm1(T * Math.log1p(-eps)),
  },
  A: { // the whole budget eps T, as early as it can be spent
    error: (eps, T) => (t) => Math.min(1, Math.max(0, eps * T - t)),
    next: (eps, T) => {
      const whole = Math.floor(eps * T);
      return (t, draw) => (t < whole ? t : t === whole && draw() < eps * T - whole ? t : Infinity);
    },
    someFall: (eps, T) => Math.min(1, eps * T),
  },
};

// J(1), ..., J(T), by the recursion for the chance q of being off the rope: sums of what is not negative, so no digits go.
function costs(error, rho, T) {
  const J = new Float64Array(T);
  for (let t = 0, q = 0, sum = 0; t < T; t++) {
    const e = error(t);
    J[t] = sum += e + (1 - e) * q;
    q = (1 - q) * e + q * (1 - rho);
  }
  return J;
}

// T -> J(T) for T up to `longest`. Under A every horizon has a learner of its own.
function exactCost(assumption, eps, rho, longest) {
  const { error } = ASSUMPTIONS[assumption];
  if (assumption === "A") return (T) => costs(error(eps, T), rho, T)[T - 1];
  const J = costs(error(eps), rho, longest);
  return (T) => J[T - 1];
}

const textbook = (eps, T) => eps * T * T;
// T -> the most that the assumption allows; both learners attain it when nothing puts them back.
const best = (assumption, eps, longest) => (assumption === "A" ? (T) => T * Math.min(1, eps * T) : exactCost("S", eps, 0, longest));
const crossover = (eps, rho) => 1 / (eps + rho);

function localSlope(J, T) {
  return J(T) > 0 ? Math.log(J(T + 1) / J(T)) / Math.log((T + 1) / T) : NaN;
}

function uniform(seed) { // mulberry32, kept off 0
  let a = Math.imul(seed + 1, 0x9e3779b1);
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let x = Math.imul(a ^ (a >>> 15), 1 | a);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return (((x ^ (x >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
}

function geometric(p) { // failures before the first success
  if (p >= 1) return () => 0;
  if (p <= 0) return () => Infinity;
  const scale = 1 / Math.log1p(-p);
  return (draw) => Math.floor(Math.log(draw()) * scale);
}

// Costs of n walks, by the times of their falls and returns only.
function simulate(assumption, eps, rho, T, n, seed) {
  const draw = uniform(seed), next = ASSUMPTIONS[assumption].next(eps, T), wait = geometric(rho), paid = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let t = next(0, draw);
    while (t < T) {
      const back = Math.min(T, t + 2 + wait(draw));
      paid[i] += back - t;
      t = next(back, draw);
    }
  }
  return paid;
}

function estimate(paid) { // mean and 95 % interval
  const n = paid.length, mean = paid.reduce((a, x) => a + x, 0) / n;
  const half = 1.96 * Math.sqrt(paid.reduce((a, x) => a + (x - mean) ** 2, 0) / (n - 1) / n);
  return { mean, low: mean - half, high: mean + half, n };
}

// As many walks as a redraw has time for. A walk with many falls averages over them, so fewer of those will do.
function affordable(eps, rho, T) {
  const drawsAWalk = 1 + 2 * T / (1 / eps + 1 / rho);
  return Math.round(Math.min(2000, Math.max(50, 60000 / drawsAWalk)));
}

// ---- what the sliders run through

const LONGEST = 10000;
const TWENTY = [1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.6, 4, 4.5, 5, 5.6, 6.3, 7, 8, 9];
const round = (x) => Number(x.toPrecision(2));
const scale = (from, to) => {
  const values = [];
  for (let k = Math.floor(Math.log10(from)); k <= Math.log10(to); k++) for (const m of TWENTY) values.push(round(m * 10 ** k));
  return values.filter((x) => x >= from && x <= to);
};
const RANGES = {
  eps: scale(1e-4, 0.5),
  T: [...new Set(scale(1, LONGEST).map(Math.round))],
  rho: [0, ...scale(1e-3, 1)],
};
const nearest = (values, x) => {
  const gap = (v) => (x > 0 && v > 0 ? Math.abs(Math.log(v / x)) : v === x ? 0 : 99);
  return values.reduce((k, v, i) => (gap(v) < gap(values[k]) ? i : k), 0);
};

// ---- words

const WORDS = {
  S: {
    eps: "chance of a mistake", bound: "textbook bound", best: "sharp bound", exact: "exact cost",
    note: "S: in <em>every</em> state the expert visits, the learner errs with chance <i>ε</i>. Off the rope it never climbs back; "
      + "it is put back with chance <i>ρ</i> a step.",
  },
  A: {
    eps: "mean chance of a mistake", bound: "average-case bound", best: "best bound", exact: "exact, errs early", even: "errs evenly",
    note: "A: only the <em>mean</em> of the learner’s errors over the episode is <i>ε</i>. The costliest place to spend the budget <i>εT</i> "
      + "is the start, if nothing forgives it: with <i>ρ</i> = 0 that learner attains the best bound. With recovery the same errors can cost "
      + "more when spread evenly.",
  },
};
const fmt = (x) => !Number.isFinite(x) ? (x > 0 ? "∞" : "–") : x === 0 ? "0" : x < 1e-3 ? x.toExponential(1).replace("e-", "·10⁻")
  .replace(/⁻(\d+)$/, (_, d) => "⁻" + [...d].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]).join("")) : x >= 999.5 ? Math.round(x).toLocaleString("en")
    : String(Number(x.toPrecision(3)));

// ---- drawing

const HUE = { bound: "#D55E00", best: "#0072B2", exact: "currentColor", points: "#E69F00", even: "#CC79A7", ceiling: "currentColor" };
const niceUp = (x) => { const k = 10 ** Math.floor(Math.log10(x)); return [1, 2, 5, 10].map((m) => m * k).find((v) => v >= x * 0.999); };
const italics = (s) => s.replace(/[εTρJ](?![a-z])/g, "<tspan font-style='italic'>$&</tspan>");
const text = (x, y, s, more = "") => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${italics(s)}</text>`;

// Everything that a picture of this state holds, as numbers.
function compute({ eps, T, rho, assumption }, log, seed) {
  const longest = log ? LONGEST : Math.max(5, niceUp(1.5 * T));
  const J = exactCost(assumption, eps, rho, longest + 1), B = best(assumption, eps, longest + 1);
  const grid = Array.from({ length: 121 }, (_, i) => Math.round(log ? longest ** (i / 120) : 1 + (longest - 1) * i / 120));
  const xs = [...new Set(grid)];
  const curve = (f) => xs.map((x) => [x, f(x)]);
  const curves = { bound: curve((x) => textbook(eps, x)), best: curve(B), exact: curve(J), ceiling: curve((x) => x) };
  let even = null;
  if (assumption === "A") curves.even = curve(even = exactCost("S", eps, rho, longest + 1));
  const horizons = log ? [3, 10, 30, 100, 300, 1000, 3000, 10000] : [1, 2, 3, 4, 5, 6, 7, 8].map((i) => Math.ceil(longest * i / 8));
  const measured = (x, i) => {
    const n = affordable(eps, rho, x);
    return { T: x, ...estimate(simulate(assumption, eps, rho, x, n, 100 * seed + i)) };
  };
  // A mean of a few falls has no honest interval: ask for 20 walks that fall, on average.
  const enough = (x) => affordable(eps, rho, x) * ASSUMPTIONS[assumption].someFall(eps, x) >= 20;
  return {
    log, longest, curves, highest: log ? LONGEST : niceUp(Math.min(longest, 1.15 * Math.max(B(longest), J(longest), 1e-9))),
    points: horizons.filter((x) => x !== T && enough(x)).map(measured), here: enough(T) ? measured(T, 99) : null,
    at: { bound: textbook(eps, T), best: B(T), exact: J(T), even: even && even(T), slope: localSlope(J, T), crossover: crossover(eps, rho) },
  };
}

function frame(width, d) {
  const wide = width >= 560, right = wide ? 148 : 26, box = { x0: 50, y0: 44, x1: width - right };
  box.y1 = box.y0 + Math.min(360, Math.max(230, (box.x1 - box.x0) * 0.72));
  const low = d.log ? 0.01 : 0, lx = Math.log(d.longest), ly = Math.log(d.highest / 0.01);
  const X = (x) => box.x0 + (box.x1 - box.x0) * (d.log ? Math.log(x) / lx : x / d.longest);
  const Y = (y) => box.y1 - (box.y1 - box.y0) * (d.log ? Math.log(Math.max(y, 1e-12) / low) / ly : y / d.highest);
  const unX = (px) => { const u = (px - box.x0) / (box.x1 - box.x0); return d.log ? Math.exp(u * lx) : u * d.longest; };
  const ticks = (top, bottom) => d.log ? Array.from({ length: 7 }, (_, i) => 10 ** (i - 2)).filter((v) => v >= bottom && v <= top)
    : [0, 1, 2, 3, 4, 5].map((i) => top * i / 5);
  return { wide, width, height: box.y1 + 46, box, X, Y, unX, xticks: ticks(d.longest, 1), yticks: ticks(d.highest, 0.01) };
}

// Labels beside the place where each curve leaves the picture, pushed apart: through the right edge, or through the top.
function curveLabels(f, d, names) {
  const side = [], top = [];
  for (const [key, name] of Object.entries(names)) {
    const points = d.curves[key].map(([x, y]) => [f.X(x), f.Y(y)]), out = points.findIndex(([, y]) => y < f.box.y0 - 0.5);
    if (out < 0) { side.push({ key, name, x: f.box.x1, from: points.at(-1)[1] }); continue; }
    const [x, y] = points[out], [px, py] = points[Math.max(0, out - 1)];
    top.push({ key, name, from: out ? px + (x - px) * (py - f.box.y0) / (py - y) : x, size: 6.6 * name.length });
  }
  side.sort((a, b) => a.from - b.from);
  let y = f.box.y0 - 6;
  for (const s of side) y = s.y = Math.max(s.from, y + 16);
  for (let i = side.length - 1, floor = f.box.y1 + 4; i >= 0; i--) floor = (side[i].y = Math.min(side[i].y, floor)) - 16;
  top.sort((a, b) => a.from - b.from);
  let x = 0;
  for (const t of top) x = (t.x = Math.min(Math.max(t.from - t.size / 2, x), f.width - t.size)) + t.size + 14;
  return { side, top };
}

function picture(f, d, state) {
  const { box, X, Y } = f, { T } = state, words = WORDS[state.assumption], out = [];
  const line = (x0, y0, x1, y1, more) => out.push(`<path d="M${x0.toFixed(1)} ${y0.toFixed(1)}L${x1.toFixed(1)} ${y1.toFixed(1)}" stroke="currentColor" ${more}/>`);
  for (const v of f.xticks) {
    line(X(v), box.y0, X(v), box.y1, 'opacity=".13"');
    out.push(text(X(v), box.y1 + 17, fmt(v), 'text-anchor="middle" class="tick"'));
  }
  for (const v of f.yticks) {
    line(box.x0, Y(v), box.x1, Y(v), 'opacity=".13"');
    out.push(text(box.x0 - 7, Y(v) + 4, fmt(v), 'text-anchor="end" class="tick"'));
  }
  out.push(text(4, 14, "expected cost J of an episode"));
  const left = X(T) > (box.x0 + box.x1) / 2;
  out.push(text(left ? box.x0 : box.x1, box.y1 + 38, "horizon T (steps)", left ? "" : 'text-anchor="end"'));

  // Curves, in a window of their own that cuts off what leaves it.
  const w = box.x1 - box.x0, h = box.y1 - box.y0;
  out.push(`<svg x="${box.x0}" y="${box.y0}" width="${w}" height="${h}" viewBox="${box.x0} ${box.y0} ${w} ${h}">`);
  const path = (points) => "M" + points.map(([x, y]) => X(x).toFixed(1) + " " + Math.max(-999, Math.min(2999, Y(y))).toFixed(1)).join("L");
  out.push(`<path d="${path(d.curves.ceiling)}L${box.x1} ${box.y0 - 9}L${box.x0} ${box.y0 - 9}L${box.x0} ${box.y1}Z" fill="currentColor" opacity=".06"/>`);
  const room = (X(d.curves.ceiling.find(([, y]) => Y(y) < box.y0 + 28)?.[0] ?? 1) - box.x0) / 6.6; // in letters
  const vacuous = ["vacuous: no episode costs more than T", "vacuous: above T", "vacuous"].find((s) => s.length + 3 < room);
  if (vacuous) out.push(text(box.x0 + 10, box.y0 + 19, vacuous, 'opacity=".8"'));
  const stroke = { ceiling: 'stroke-width="1" opacity=".8"', bound: 'stroke-width="2.4" stroke-dasharray="7 4"', best: 'stroke-width="6"',
    even: 'stroke-width="2.4"', exact: 'stroke-width="1.8"' };
  const turn = X(d.at.crossover);
  if (Number.isFinite(turn)) {
    line(turn, box.y0, turn, box.y1, 'stroke-dasharray="1.5 4" stroke-width="1.5" opacity=".8"');
    const regimes = d.log && state.assumption === "S", y = d.log ? box.y1 - 9 : box.y0 + 39; // where the curves are not
    if (turn < box.x1 - 90) out.push(text(turn + 7, y, !regimes ? "1/(ε+ρ)" : f.wide ? "1/(ε+ρ), then linear →" : "linear →"));
    if (turn > box.x0 + 84 && regimes) out.push(text(turn - 7, y, "← quadratic", 'text-anchor="end"'));
  }
  line(X(T), box.y0, X(T), box.y1, 'opacity=".75"');
  for (const key of ["ceiling", "bound", "even", "best", "exact"]) {
    if (d.curves[key]) out.push(`<path class="${key}" d="${path(d.curves[key])}" fill="none" stroke="${HUE[key]}" stroke-linejoin="round" ${stroke[key]}/>`);
  }
  for (const p of d.here ? [...d.points, d.here] : d.points) {
    const x = X(p.T), hi = Y(p.high), lo = Math.min(Y(Math.max(p.low, 0)), 2999);
    out.push(`<g class="point" stroke="${HUE.points}" stroke-width="1.8"><path d="M${x - 4} ${hi}h8m-4 0V${lo}m-4 0h8"/>`
      + `<circle cx="${x}" cy="${Y(p.mean)}" r="3.6" fill="${HUE.points}" stroke="none"/></g>`);
  }
  const dot = (key) => `<circle cx="${X(T)}" cy="${Y(d.at[key])}" r="4.5" fill="${HUE[key]}"/>`;
  out.push(dot("bound"), dot("exact"));
  if (d.at.exact > 0) {
    const y = Math.min(box.y1 - 26, Math.max(box.y0 + 40, Y(d.at.exact) + 20)), end = X(T) > box.x1 - 90;
    out.push(text(X(T) + (end ? -10 : 10), y, `slope ${d.at.slope.toFixed(2)}`, `class="strong" text-anchor="${end ? "end" : "start"}"`));
  }
  out.push("</svg>");

  const names = { ceiling: "ceiling T", bound: words.bound + " εT²", best: words.best, exact: words.exact, ...(words.even && { even: words.even }) };
  const swatch = (key, x, y) => `<path d="M${x} ${y}h14" stroke="${HUE[key]}" ${stroke[key]}/>`;
  if (f.wide) {
    const { side, top } = curveLabels(f, d, names);
    for (const s of side) {
      out.push(`<path d="M${s.x + 2} ${Math.max(s.from, box.y0)}L${s.x + 12} ${s.y}" stroke="currentColor" opacity=".35" fill="none"/>`);
      out.push(swatch(s.key, s.x + 14, s.y), text(s.x + 33, s.y + 4, s.name));
    }
    for (const t of top) {
      out.push(`<path d="M${t.from} ${box.y0}L${t.from} ${box.y0 - 7}" stroke="${HUE[t.key]}" fill="none"/>`);
      out.push(text(t.x, box.y0 - 11, t.name));
    }
  }
  line(box.x0, box.y1, box.x1, box.y1, "");
  line(box.x0, box.y0, box.x0, box.y1, "");
  out.push(`<path d="M${X(T)} ${box.y1 - 5}l6 8h-12z" fill="currentColor"/>`);
  out.push(text(Math.min(box.x1 - 20, Math.max(box.x0 + 24, X(T))), box.y1 + 38, `T = ${fmt(T)}`, 'text-anchor="middle" class="strong"'));
  const points = `<svg width="16" height="16" aria-hidden="true"><path d="M4 2h8m-4 0V14m-4 0h8" stroke="${HUE.points}" stroke-width="1.8"/><circle cx="8" cy="8" r="3.6" fill="${HUE.points}"/></svg>`;
  const key = [...(f.wide ? [] : Object.entries(names).map(([k, name]) =>
    `<span><svg width="16" height="12" aria-hidden="true">${swatch(k, 1, 6)}</svg> ${name.replace(/[εT](?!e)/g, "<i>$&</i>")}</span>`)),
  `<span>${points} simulated: mean and 95 % interval of ${d.here ? fmt(d.here.n) : "2,000"} episodes</span>`];
  return { inner: out.join(""), key: key.join("") };
}

function readings(d, { T, assumption }) {
  const { at, here } = d, words = WORDS[assumption], capital = (s) => s[0].toUpperCase() + s.slice(1);
  return [
    [capital(words.exact), fmt(at.exact)],
    ["Simulated", here ? `${fmt(here.mean)} <small>[${fmt(Math.max(0, here.low))}, ${fmt(here.high)}]</small>` : "<small>too few falls</small>"],
    [capital(words.best), fmt(at.best)],
    [capital(words.bound), fmt(at.bound) + (at.bound > T ? " <small>above <i>T</i></small>" : "")],
    [`${capital(words.bound.split(" ")[0])} ÷ exact`, at.exact > 0 ? fmt(at.bound / at.exact) + "×" : "–"],
    ["Local slope", Number.isFinite(at.slope) ? at.slope.toFixed(2) : "–"],
    ["Crossover 1/(<i>ε</i>+<i>ρ</i>)", Number.isFinite(at.crossover) ? `${fmt(at.crossover)} <small>steps</small>` : "never"],
    ...(at.even === null ? [] : [["Same errors, spread evenly", fmt(at.even)]]),
  ];
}

function sentence(d, { eps, T, rho, assumption }) {
  const { at, here } = d, words = WORDS[assumption];
  return `Assumption ${assumption}, T = ${fmt(T)}, ε = ${fmt(eps)}, ρ = ${fmt(rho)}: ${words.exact} ${fmt(at.exact)}, ${words.best} ${fmt(at.best)}, `
    + `${words.bound} ${fmt(at.bound)}${at.bound > T ? ", which is above the ceiling T" : ""}; `
    + (here ? `simulated ${fmt(here.mean)}, 95 % interval ${fmt(Math.max(0, here.low))} to ${fmt(here.high)}; ` : "")
    + (Number.isFinite(at.slope) ? `local slope ${at.slope.toFixed(2)}; ` : "") + `crossover at ${fmt(at.crossover)} steps.`;
}

// ---- the figure

const KEYS = 'data-lm-suppress-shortcuts="true"'; // else JupyterLab takes the arrow keys
const slider = (name, symbol, words) => `<label><span><i>${symbol}</i> <span data-words="${name}">${words}</span></span> <span class="value" data-value="${name}" aria-hidden="true"></span>
  <input type="range" data-slider="${name}" min="0" max="${RANGES[name].length - 1}" step="1" ${KEYS}></label>`;
const choice = (name, legend, options) => `<fieldset><legend>${legend}</legend>${options.map(([value, words]) =>
  `<label><input type="radio" name="${name}" value="${value}" ${KEYS}> ${words}</label>`).join("")}</fieldset>`;
const MARKUP = `<style>
.il-bounds { max-width: 780px; margin: .5em 0; line-height: 1.35; font-size: 14px; color: inherit }
.il-bounds .sliders { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: .5em 1.4em }
.il-bounds .sliders label { display: grid; grid-template-columns: 1fr auto; margin: 0; align-items: baseline }
.il-bounds input[type=range] { grid-column: 1 / 3; width: 100%; margin: .35em 0 0; min-height: 24px; accent-color: #0072B2; cursor: ew-resize }
.il-bounds .value { font-weight: 650; font-variant-numeric: tabular-nums; padding: 0; margin: 0 }
.il-bounds .choices { display: flex; flex-wrap: wrap; gap: .2em 1.6em; margin: .5em 0 .3em; align-items: center }
.il-bounds fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0 .9em; min-width: 0 }
.il-bounds legend { float: left; font-size: inherit; margin: 0 .3em 0 0; padding: 0; width: auto; opacity: .8 }
.il-bounds fieldset label { margin: 0; display: inline-flex; gap: .35em; align-items: center; min-height: 24px }
.il-bounds button { font: inherit; color: inherit; background: none; border: 1px solid currentColor; border-radius: 6px; padding: .15em .7em; cursor: pointer }
.il-bounds svg.plot { display: block; width: 100%; overflow: visible; font-size: 12.5px; fill: currentColor; touch-action: pan-y; cursor: ew-resize; user-select: none; background: none }
.il-bounds svg .strong { font-weight: 650 }
.il-bounds svg .tick { font-size: 11.5px; opacity: .85 }
.il-bounds .key { display: flex; flex-wrap: wrap; gap: .1em 1.2em; font-size: 13px; margin: .1em 0 .5em }
.il-bounds .key svg { display: inline-block; vertical-align: -3px; background: none }
.il-bounds dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(138px, 1fr)); gap: .5em 1em; margin: .5em 0; padding: .6em 0; border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent) }
.il-bounds dl div { display: flex; flex-direction: column; justify-content: flex-end }
.il-bounds dl div dt { float: none; width: auto; padding: 0; font-weight: 400; font-size: 12.5px; opacity: .85; margin: 0 }
.il-bounds dl div dd { margin: 0; padding: 0; font-size: 17px; font-weight: 600; font-variant-numeric: tabular-nums }
.il-bounds dl dd small { font-size: 12.5px; font-weight: 400 }
.il-bounds p { margin: .2em 0; font-size: 13.5px }
.il-bounds :is(input, button):focus-visible { outline: 2px solid currentColor; outline-offset: 2px }
.il-bounds .spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
</style>
<form class="il-bounds" autocomplete="off">
<div class="sliders">${slider("eps", "ε", "")}${slider("T", "T", "horizon, in steps")}${slider("rho", "ρ", "chance to be put back")}</div>
<div class="choices">${choice("assumption", "Assumption", [["S", "S, every state"], ["A", "A, average"]])}${choice("axes", "Axes",
    [["log", "log–log"], ["linear", "linear"]])}<button type="button" ${KEYS}>Draw new episodes</button></div>
<svg class="plot" role="img" xmlns="http://www.w3.org/2000/svg"></svg><div class="key"></div>
<p class="note"></p><dl></dl><p class="spoken" aria-live="polite"></p></form>`;

function render({ model, el }) {
  const root = document.createElement("div");
  root.innerHTML = MARKUP;
  el.replaceChildren(root);
  const $ = (selector) => root.querySelector(selector), svg = $("svg.plot"), form = $("form");
  let seed = 0, log = true, shown = null, speak = 0;

  function draw() {
    const began = performance.now(), width = Math.round(svg.clientWidth);
    if (!width) return; // hidden: the observer calls again
    const state = Object.fromEntries(["eps", "T", "rho", "assumption"].map((k) => [k, model.get(k)]));
    const d = compute(state, log, seed), f = frame(width, d), words = WORDS[state.assumption], said = sentence(d, state);
    const { inner, key } = picture(f, d, state);
    svg.setAttribute("viewBox", `0 0 ${width} ${f.height}`);
    svg.style.height = f.height + "px";
    svg.innerHTML = inner;
    svg.setAttribute("aria-label", `${log ? "Log-log" : "Linear"} plot of expected cost against the horizon. ${said}`);
    $(".key").innerHTML = key;
    $(".note").innerHTML = words.note;
    $("dl").innerHTML = readings(d, state).map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join("");
    $("[data-words=eps]").textContent = words.eps;
    for (const [name, values] of Object.entries(RANGES)) {
      const input = $(`[data-slider=${name}]`), place = nearest(values, state[name]);
      if (+input.value !== place) input.value = place;
      input.setAttribute("aria-valuetext", fmt(state[name]));
      $(`[data-value=${name}]`).textContent = fmt(state[name]);
    }
    form.elements.assumption.value = state.assumption;
    form.elements.axes.value = log ? "log" : "linear";
    clearTimeout(speak); // say it once the hand rests
    speak = setTimeout(() => { $(".spoken").textContent = said; }, shown ? 700 : 0);
    shown = f;
    svg.dataset.redrawMs = (performance.now() - began).toFixed(2);
    svg.dataset.redraws = 1 + +(svg.dataset.redraws || 0);
  }

  function set(name, value) {
    if (model.get(name) === value) return;
    model.set(name, value); // "change" redraws
    model.save_changes();
  }
  const drag = (event) => { if (event.buttons && shown) set("T", RANGES.T[nearest(RANGES.T, Math.max(1, shown.unX(event.offsetX)))]); };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", ({ target }) => {
    if (target.dataset.slider) set(target.dataset.slider, RANGES[target.dataset.slider][+target.value]);
    else if (target.name === "assumption") set("assumption", target.value);
    else { log = target.value === "log"; draw(); }
  });
  $("button").addEventListener("click", () => { seed++; draw(); });
  svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); drag(event); });
  svg.addEventListener("pointermove", drag);
  model.on("change", draw);
  const observer = new ResizeObserver(() => { if (!shown || Math.round(svg.clientWidth) !== shown.width) draw(); });
  observer.observe(svg);
  draw();
  return () => { observer.disconnect(); clearTimeout(speak); model.off("change", draw); };
}

export default { render };
