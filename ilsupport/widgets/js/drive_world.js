// A car on a winding road, driven by the reader or by a network that sees what the retina in the corner sees.
// The world is ilsupport/envs/driving.py and the retina ilsupport/envs/camera.py, number for number.

// ---- the world

const SPEED = 10, STEP = 0.05, FULL_LOCK = 0.1, HALF = 1.75, RAIL = 3, TURN = 1; // m/s, s, 1/m, m, half lanes, rad
const WAVES = [[50, 0.22], [83, 0.2], [131, 0.15]].map(([length, a]) => ({ k: 2 * Math.PI / length, a }));
const AHEAD = [0, 5, 10, 15, 20, 30];
const clip = (x, most) => Math.max(-most, Math.min(most, x));
const curvature = (phases, d = 0) => WAVES.reduce((sum, { k, a }, i) => sum + a * Math.sin(phases[i] + k * d), 0);
const features = (car) => [car.offset, car.heading, ...AHEAD.map((d) => curvature(car.phases, d))];

function step(car, steering) {
  const bend = curvature(car.phases), speed = SPEED * Math.cos(car.heading) / (1 - bend * car.offset * (FULL_LOCK * HALF));
  return {
    offset: clip(car.offset + Math.sin(car.heading) * (SPEED * STEP / HALF), RAIL),
    heading: clip(car.heading + (SPEED * steering - speed * bend) * (STEP * FULL_LOCK), TURN),
    phases: car.phases.map((phase, i) => phase + speed * STEP * WAVES[i].k),
    along: car.along + speed * STEP,
  };
}

// ---- what a network sees, and what it does

const ROWS = 30, COLUMNS = 32, ZOOM = COLUMNS / 2, FINE = 8, GREY = 0.4;
const DISTANCE = Array.from({ length: ROWS }, (_, r) => 1 / (1 / 30 + (1 / 4 - 1 / 30) * r / (ROWS - 1)));
const REACH = Math.floor(COLUMNS / 2 + (HALF + 0.5) * ZOOM / 4) + 1;
const [GRASS, TARMAC, PAINT] = [[96, 140, 78], [66, 68, 72], [235, 235, 228]].map((c) => (c[0] + c[1] + c[2]) / 3 / 255);
const GEOMETRY = DISTANCE.map((far) => { // state -> pixels from the picture's middle to the lane's, in a row
  const hat = (j, x) => Math.max(0, Math.min(1, j ? (x - AHEAD[j - 1]) / (AHEAD[j] - AHEAD[j - 1]) : 1,
    j < 5 ? (AHEAD[j + 1] - x) / (AHEAD[j + 1] - AHEAD[j]) : 1));
  const bends = AHEAD.map((_, j) => {
    let sum = 0;
    for (let i = 0; i <= 512; i++) sum += (i % 512 ? 1 : 0.5) * (far - far * i / 512) * hat(j, far * i / 512);
    return sum * far / 512 * FULL_LOCK;
  });
  return [-HALF, -far, ...bends].map((x) => -x * ZOOM / far);
});

function see(state, marks) { // brightness in [0, 1], row by row from the farthest
  const picture = new Float64Array(ROWS * COLUMNS), line = 0.12;
  for (let r = 0; r < ROWS; r++) {
    const pixel = DISTANCE[r] / ZOOM, dash = DISTANCE[r] % 6 < 3;
    const middle = clip(Math.round(FINE * GEOMETRY[r].reduce((sum, g, i) => sum + g * state[i], 0)), REACH * FINE) / FINE;
    const cover = (x, half) => Math.max(0, Math.min(1, (half - Math.abs(x)) / pixel + 0.5));
    for (let c = 0; c < COLUMNS; c++) {
      const x = (c - (COLUMNS - 1) / 2 - middle) * pixel, tarmac = cover(x, HALF + 0.4);
      let paint = marks ? Math.max(cover(Math.abs(x) - HALF, line), dash ? cover(x, line) : 0) : 0;
      paint *= Math.min(1, 2 * line / pixel);
      picture[r * COLUMNS + c] = (GRASS * (1 - tarmac) + TARMAC * tarmac) * (1 - paint) + PAINT * paint;
    }
  }
  return picture;
}

function halves(text) { // base64 of float16
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), out = new Float64Array(bytes.length / 2);
  for (let i = 0; i < out.length; i++) {
    const h = bytes[2 * i] | bytes[2 * i + 1] << 8, e = (h >> 10) & 31, m = (h & 1023) / 1024;
    out[i] = (h >> 15 ? -1 : 1) * (e ? 2 ** (e - 15) * (1 + m) : 2 ** -14 * m);
  }
  return out;
}

const unpack = ({ name, marks, layers }) => ({
  name, marks, layers: layers.map((layer) => ({ weight: halves(layer.weight), bias: halves(layer.bias) })),
});

function act(net, seen) { // steering
  let x = seen.map((v) => v - GREY);
  net.layers.forEach(({ weight, bias }, l) => {
    const input = l ? x.map((v) => Math.max(0, v)) : x, width = input.length;
    x = bias.map((b, i) => { for (let j = 0; j < width; j++) b += weight[i * width + j] * input[j]; return b; });
  });
  return clip(x[0], 1);
}

// ---- the wheel: at each step it goes this share of the way to where the keys want it, full left, full right or straight

const HASTE = 0.15;
const turned = (wheel, wanted) => Math.round(1000 * (wheel + HASTE * (wanted - wheel))) / 1000;
