// How driving looks: the road from behind the car, or from above. Joined to drive_world.js and drive.js.

// ---- the road as points: x forward, y left, in m, from the middle of the lane beside the car

function roadPoints(phases, from, to, d = 2) {
  const turn = (s) => WAVES.reduce((sum, { k, a }, i) => sum - a * FULL_LOCK / k * (Math.cos(phases[i] + k * s) - Math.cos(phases[i])), 0);
  const walk = (until, by) => {
    const points = [];
    for (let s = 0, x = 0, y = 0; by > 0 ? s <= until : s >= until; s += by) {
      points.push({ s, x, y, t: turn(s) });
      const t = turn(s + by / 2);
      x += by * Math.cos(t); y += by * Math.sin(t);
    }
    return points;
  };
  return [...walk(from, -d).reverse().slice(0, -1), ...walk(to, d)];
}

function pointAt(road, s, left = 0) { // between two points, `left` m to the side
  const d = road[1].s - road[0].s, i = Math.max(0, Math.min(road.length - 2, Math.floor((s - road[0].s) / d)));
  const a = road[i], b = road[i + 1], u = (s - a.s) / d, t = a.t + u * (b.t - a.t);
  return { x: a.x + u * (b.x - a.x) - left * Math.sin(t), y: a.y + u * (b.y - a.y) + left * Math.cos(t), t };
}

// ---- drawing

const DAY = {
  sky: ["#6fb1e6", "#b9dcf2", "#f6efe0"], hills: ["#a9c3cc", "#86ab9a"], grass: ["#8bb062", "#7fa559"], tarmac: "#5a5f68", shoulder: "#6b7079",
  paint: "#f6f3e8", rail: "#e3e6ea", post: "#8b9097", trees: ["#3f7d4f", "#4f8d4a", "#6d9a44"], trunk: "#6b5138", haze: "246,239,224", shade: 0.3,
};
const NIGHT = {
  sky: ["#0b1030", "#2b2a5c", "#b0647a"], hills: ["#2c2b56", "#1b2140"], grass: ["#1e3230", "#1a2b2b"], tarmac: "#2b2f3b", shoulder: "#353a47",
  paint: "#e2ddcb", rail: "#8d93a6", post: "#4b5064", trees: ["#12262b", "#15302f", "#1a3a33"], trunk: "#15181f", haze: "120,74,110", shade: 0.5,
};
const YOU = "#56B4E9", HUES = ["#D55E00", "#009E73", "#CC79A7", "#E69F00", "#F0E442"];
const noise = (i, salt) => { const v = Math.sin(i * 127.1 + salt * 311.7) * 43758.5453; return v - Math.floor(v); };

function polygon(g, points, colour) {
  if (points.length < 3) return;
  g.fillStyle = colour;
  g.beginPath();
  for (const [x, y] of points) g.lineTo(x, y);
  g.fill();
}
function pill(g, x, y, w, h, colour = "rgba(12,16,26,.66)") {
  g.fillStyle = colour;
  g.beginPath();
  g.roundRect(x, y, w, h, h / 2);
  g.fill();
}

// The view from behind the car, and where on the canvas the car is.
function chase(g, W, H, car, look) {
  const yaw = 0.5 * car.heading, cos = Math.cos(yaw), sin = Math.sin(yaw), f = Math.max(0.62 * W, 0.9 * H), horizon = 0.37 * H, high = 3.1, back = 6.6;
  const eye = { x: -back * cos, y: car.offset * HALF - back * sin }, road = roadPoints(car.phases, -14, 170);
  const depthOf = (p) => (p.x - eye.x) * cos + (p.y - eye.y) * sin;
  const onCanvas = (p, z = 0) => {
    const depth = Math.max(0.5, depthOf(p)), left = (p.y - eye.y) * cos - (p.x - eye.x) * sin;
    return [W / 2 - f * left / depth, horizon + f * (high - z) / depth];
  };
  const side = (left) => { // a line along the road, cut off at the eye
    const points = [];
    let before = null;
    for (const p of road.map((r) => ({ x: r.x - left * Math.sin(r.t), y: r.y + left * Math.cos(r.t) }))) {
      const depth = depthOf(p);
      if (depth > 0.5) {
        if (before && before.depth <= 0.5) {
          const u = (0.5 - before.depth) / (depth - before.depth);
          points.push(onCanvas({ x: before.x + u * (p.x - before.x), y: before.y + u * (p.y - before.y) }));
        }
        points.push(onCanvas(p));
      }
      before = { ...p, depth };
    }
    return points;
  };
  const strip = (a, b, colour) => polygon(g, [...side(a), ...side(b).reverse()], colour);

  const sky = g.createLinearGradient(0, 0, 0, horizon);
  look.sky.forEach((colour, i) => sky.addColorStop(i / 2, colour));
  g.fillStyle = sky;
  g.fillRect(0, 0, W, horizon + 1);
  const facing = yaw - WAVES.reduce((sum, { k, a }, i) => sum + a * FULL_LOCK / k * Math.cos(car.phases[i]), 0);
  if (look === NIGHT) {
    g.fillStyle = "#fff";
    for (let i = 0; i < 70; i++) {
      const x = (((noise(i, 1) * 4 - facing) * f) % (2 * W) + 2 * W) % (2 * W);
      g.globalAlpha = 0.25 + 0.6 * noise(i, 3);
      g.fillRect(x, noise(i, 2) * horizon * 0.7, 1.4, 1.4);
    }
    g.globalAlpha = 1;
  } else {
    const x = W / 2 + (facing + 0.35) * f * 0.9, y = horizon * 0.42, sun = g.createRadialGradient(x, y, 4, x, y, 70);
    [["rgba(255,250,225,1)", 0], ["rgba(255,250,225,.9)", 0.22], ["rgba(255,246,210,.35)", 0.3], ["rgba(255,246,210,0)", 1]].forEach(([c, at]) => sun.addColorStop(at, c));
    g.fillStyle = sun;
    g.fillRect(x - 70, y - 70, 140, 140);
  }
  look.hills.forEach((colour, layer) => {
    const points = [[0, horizon + 2]];
    for (let x = 0; x <= W + 8; x += 8) {
      const angle = facing + (W / 2 - x) / f, tall = layer ? 0.035 + 0.018 * Math.sin(5 * angle) + 0.01 * Math.sin(13 * angle + 1) : 0.075 + 0.03 * Math.sin(3 * angle + 2) + 0.014 * Math.sin(8 * angle);
      points.push([x, horizon - f * tall * 0.8]);
    }
    polygon(g, [...points, [W + 8, horizon + 2]], colour);
  });

  // Grass in stripes that stay where they are, the road on it, and paint on that.
  g.fillStyle = look.grass[0];
  g.fillRect(0, horizon, W, H - horizon);
  const first = Math.floor((car.along - 14) / 6);
  const yAt = (s) => { const depth = depthOf(pointAt(road, s)); return depth > 0.5 ? horizon + f * high / depth : 4 * H; };
  g.fillStyle = look.grass[1];
  for (let i = first + (first & 1); i < first + 30; i += 2) {
    const near = yAt(6 * i - car.along), far = yAt(6 * i + 6 - car.along);
    if (near > far) g.fillRect(0, far, W, near - far);
  }
  strip(-HALF - 0.75, HALF + 0.75, look.shoulder);
  strip(-HALF - 0.4, HALF + 0.4, look.tarmac);
  if (look === NIGHT) {
    const light = g.createRadialGradient(W / 2, H * 0.74, 10, W / 2, H * 0.7, 0.42 * W);
    light.addColorStop(0, "rgba(255,240,205,.34)"); light.addColorStop(1, "rgba(255,240,205,0)");
    g.fillStyle = light;
    g.fillRect(0, horizon, W, H - horizon);
  }
  for (const edge of [-HALF, HALF]) strip(edge - 0.11, edge + 0.11, look.paint);
  for (let i = first; i < first + 22; i++) {
    const at = [0, 0.75, 1.5, 2.25, 3].map((d) => 6 * i + d - car.along).filter((s) => depthOf(pointAt(road, s)) > 0.5);
    polygon(g, [...at.map((s) => onCanvas(pointAt(road, s, -0.09))), ...at.reverse().map((s) => onCanvas(pointAt(road, s, 0.09)))], look.paint);
  }
  const haze = g.createLinearGradient(0, horizon, 0, horizon + 0.13 * H);
  haze.addColorStop(0, `rgba(${look.haze},.85)`); haze.addColorStop(1, `rgba(${look.haze},0)`);
  g.fillStyle = haze;
  g.fillRect(0, horizon, W, 0.13 * H);

  // What stands up, from far to near: the barrier where the car can go no further, and trees behind it.
  const things = [], wall = RAIL * HALF + 1.5;
  const from = Math.floor((car.along - 8) / 4);
  for (let i = from; i < from + 38; i++) for (const l of [-wall, wall]) {
    const a = pointAt(road, 4 * i - car.along, l), b = pointAt(road, 4 * i + 4 - car.along, l), depth = depthOf(a);
    if (Math.min(depth, depthOf(b)) > 0.6) things.push({ depth, draw: () => {
      const [x, y] = onCanvas(a), k = f / depth;
      g.fillStyle = look.post;
      g.fillRect(x - 0.06 * k, y - 0.72 * k, 0.12 * k, 0.72 * k);
      polygon(g, [onCanvas(a, 0.75), onCanvas(b, 0.75), onCanvas(b, 0.42), onCanvas(a, 0.42)], look.rail);
      polygon(g, [onCanvas(a, 0.62), onCanvas(b, 0.62), onCanvas(b, 0.55), onCanvas(a, 0.55)], look.post);
    } });
  }
  const slot = Math.floor(car.along / 5) - 1;
  for (let i = slot; i < slot + 28; i++) for (const hand of [-1, 1]) {
    const salt = hand + 5;
    if (noise(i, salt) < 0.3) continue;
    const p = pointAt(road, 5 * i - car.along, hand * (9 + 16 * noise(i, salt + 7))), depth = depthOf(p);
    if (depth < 3 || depth > 150 || road.some((r) => (r.x - p.x) ** 2 + (r.y - p.y) ** 2 < 72)) continue;
    things.push({ depth, draw: () => tree(g, onCanvas(p), f / depth * (0.8 + 0.9 * noise(i, salt + 3)), look, Math.floor(3 * noise(i, salt + 9))) });
  }
  for (const thing of things.sort((a, b) => b.depth - a.depth)) {
    g.globalAlpha = Math.max(0, Math.min(1, (150 - thing.depth) / 60));
    thing.draw();
  }
  g.globalAlpha = 1;
  return { onCanvas, at: onCanvas({ x: 0, y: car.offset * HALF }), scale: f / back, turn: car.heading - yaw };
}

function tree(g, [x, y], k, look, kind) {
  g.fillStyle = look.trunk;
  g.fillRect(x - 0.12 * k, y - 1.3 * k, 0.24 * k, 1.3 * k);
  g.fillStyle = look.trees[kind];
  if (kind) {
    g.beginPath();
    for (const [dx, dy, r] of [[0, 2.7, 1.1], [-0.65, 2, 0.95], [0.65, 2, 0.95]]) { g.moveTo(x + dx * k, y - dy * k); g.arc(x + dx * k, y - dy * k, r * k, 0, 7); }
    g.fill();
  } else for (const [z, w] of [[0.8, 1.2], [1.8, 0.95], [2.8, 0.65]]) polygon(g, [[x - w * k, y - z * k], [x, y - (z + 1.7) * k], [x + w * k, y - z * k]], look.trees[0]);
}

// The car from behind; k pixels a metre.
function drawCar(g, [x, y], k, colour, wheel, turn, plate, look) {
  g.save();
  g.translate(x, y);
  g.fillStyle = `rgba(0,0,0,${look.shade})`;
  g.beginPath();
  g.ellipse(0, 0, 1.02 * k, 0.17 * k, 0, 0, 7);
  g.fill();
  const box = (x0, z0, w, h, r, fill) => { g.fillStyle = fill; g.beginPath(); g.roundRect(x0 * k, -(z0 + h) * k, w * k, h * k, r * k); g.fill(); };
  for (const s of [-0.83, 0.53]) box(s, -0.03, 0.3, 0.42, 0.07, "#15171c");
  box(-0.7, 0.1, 1.4, 0.25, 0.05, "#0e1014");
  g.rotate(0.035 * wheel); // it leans out of the bend
  const shift = -0.35 * turn - 0.05 * wheel;
  polygon(g, [[-0.74, 0.72], [-0.52 + shift, 1.32], [0.52 + shift, 1.32], [0.74, 0.72]].map(([a, z]) => [a * k, -z * k]), colour);
  polygon(g, [[-0.74, 0.72], [-0.52 + shift, 1.32], [0.52 + shift, 1.32], [0.74, 0.72]].map(([a, z]) => [a * k, -z * k]), "rgba(0,0,0,.16)");
  polygon(g, [[-0.6, 0.8], [-0.44 + shift, 1.23], [0.44 + shift, 1.23], [0.6, 0.8]].map(([a, z]) => [a * k, -z * k]), look === NIGHT ? "#1a2236" : "#2b3f55");
  polygon(g, [[-0.1, 0.8], [0.02 + shift, 1.23], [0.24 + shift, 1.23], [0.12, 0.8]].map(([a, z]) => [a * k, -z * k]), "rgba(255,255,255,.13)");
  box(-0.86, 0.22, 1.72, 0.56, 0.16, colour);
  box(-0.86, 0.22, 1.72, 0.2, 0.1, "rgba(0,0,0,.28)");
  for (const s of [-0.82, 0.54]) box(s, 0.54, 0.28, 0.13, 0.05, look === NIGHT ? "#ff5a4d" : "#c4281f");
  box(-0.28, 0.46, 0.56, 0.17, 0.03, "#f4f2e6");
  g.fillStyle = "#16181d";
  g.font = `700 ${0.14 * k}px system-ui, sans-serif`;
  g.textAlign = "center";
  g.fillText(plate.slice(0, 7).toUpperCase(), 0, -0.495 * k, 0.5 * k);
  g.restore();
}

// The road from above, a page of 60 m at a time: nothing moves but the car. Drawn for readers who asked for less motion.
const PAGE = 60;
function above(g, W, H, car, look, trace) {
  const page = Math.floor(car.along / PAGE), start = PAGE * page, here = car.along - start, scale = W / (PAGE + 14);
  const road = roadPoints(car.phases.map((p, i) => p - here * WAVES[i].k), -16, PAGE + 26, 1);
  const end = pointAt(road, PAGE), lean = Math.atan2(end.y, end.x), cos = Math.cos(lean), sin = Math.sin(lean);
  const place = (p) => [scale * (7 + p.x * cos + p.y * sin), 0.54 * H - scale * (p.y * cos - p.x * sin)];
  const line = (left, from = 0, to = road.length) => road.slice(from, to).map((r) => place({ x: r.x - left * Math.sin(r.t), y: r.y + left * Math.cos(r.t) }));
  const strip = (a, b, colour) => polygon(g, [...line(a), ...line(b).reverse()], colour);
  g.fillStyle = look.grass[0];
  g.fillRect(0, 0, W, H);
  strip(-RAIL * HALF - 1.5, RAIL * HALF + 1.5, look.grass[1]);
  for (const side of [-1, 1]) strip(side * (RAIL * HALF + 1.5), side * (RAIL * HALF + 1.75), look.rail);
  strip(-HALF - 0.4, HALF + 0.4, look.tarmac);
  for (const edge of [-HALF, HALF]) strip(edge - 0.11, edge + 0.11, look.paint);
  for (let i = Math.floor((start - 16) / 6); i < (start + PAGE + 26) / 6; i++) {
    const s = 6 * i - start;
    polygon(g, [[s, -0.09], [s + 3, -0.09], [s + 3, 0.09], [s, 0.09]].map(([d, l]) => place(pointAt(road, d, l))), look.paint);
  }
  g.strokeStyle = look === NIGHT ? "#fff" : "#111";
  g.globalAlpha = 0.6;
  g.setLineDash([2, 4]);
  g.lineWidth = 1.6;
  g.beginPath();
  for (const [s, offset] of trace) if (s >= start && s <= car.along) g.lineTo(...place(pointAt(road, s - start, offset * HALF)));
  g.stroke();
  g.setLineDash([]);
  g.globalAlpha = 1;
  const me = pointAt(road, here, car.offset * HALF), angle = lean - me.t - car.heading;
  return { at: place(me), scale, angle, onCanvas: (p) => { // from the car's frame of the road
    const r = pointAt(road, here), c = Math.cos(r.t), s = Math.sin(r.t);
    return place({ x: r.x + p.x * c - p.y * s, y: r.y + p.x * s + p.y * c });
  } };
}

function drawCarAbove(g, [x, y], k, colour, angle) {
  g.save();
  g.translate(x, y);
  g.rotate(angle);
  g.fillStyle = "rgba(0,0,0,.3)";
  g.beginPath(); g.roundRect(-1.9 * k, -0.8 * k, 4 * k, 1.9 * k, 0.5 * k); g.fill();
  g.fillStyle = colour;
  g.beginPath(); g.roundRect(-2 * k, -0.95 * k, 4 * k, 1.9 * k, 0.6 * k); g.fill();
  g.strokeStyle = "#fff"; g.lineWidth = 1.5; g.stroke();
  g.fillStyle = "#22303f";
  g.beginPath(); g.roundRect(-0.1 * k, -0.75 * k, 0.9 * k, 1.5 * k, 0.25 * k); g.fill();
  g.restore();
}

// Where the car would go with this steering, as dots on the road, from its bonnet on.
function promise(g, view, car, steering, colour) {
  const high = view.angle !== undefined, c = Math.cos(car.heading), s = Math.sin(car.heading);
  g.fillStyle = colour;
  g.strokeStyle = "rgba(0,0,0,.45)";
  g.lineWidth = 1;
  for (let d = high ? 3 : 4.6; d <= 16; d += 1) {
    const bend = FULL_LOCK * steering || 1e-9, x = Math.sin(bend * d) / bend, y = (1 - Math.cos(bend * d)) / bend;
    const at = { x: x * c - y * s, y: car.offset * HALF + x * s + y * c }, [px, py] = view.onCanvas(at);
    const [qx] = view.onCanvas({ x: at.x, y: at.y + 0.2 }), r = high ? 3 : Math.max(1.5, Math.abs(qx - px));
    g.globalAlpha = 1 - d / 18;
    g.beginPath();
    g.ellipse(px, py, r, high ? r : 0.5 * r, 0, 0, 7);
    g.fill();
    g.stroke();
  }
  g.globalAlpha = 1;
}

// What stands over the road: who drives, the clock, the lane, the wheel, and what the network sees.
function instruments(g, W, H, show) {
  const small = W < 520, size = small ? 12 : 14, hudText = (text, x, y, align = "left", weight = 600, px = size) => {
    g.font = `${weight} ${px}px system-ui, sans-serif`;
    g.textAlign = align;
    g.fillStyle = "#fff";
    g.fillText(text, x, y);
  };
  g.textBaseline = "middle";
  g.font = `600 ${size}px system-ui, sans-serif`;
  const title = show.title, wide = g.measureText(title).width + 40;
  pill(g, 12, 12, wide, 26);
  g.fillStyle = show.hue;
  g.beginPath(); g.arc(27, 25, 6, 0, 7); g.fill();
  hudText(title, 40, 25.5);
  pill(g, 12, 44, small ? 58 : 66, 24);
  hudText(show.clock, 24, 56.5);
  if (show.budget) {
    const w = g.measureText(show.budget).width + 24;
    pill(g, 12, 74, w, 24);
    hudText(show.budget, 24, 86.5);
  }
  // The lane: its third of what lies between the barriers.
  const w = Math.min(190, 0.3 * W), x = W / 2 - w / 2, out = Math.abs(show.offset) > 1, y = small ? H - 50 : 20;
  pill(g, x - 8, y - 8, w + 16, 20);
  g.fillStyle = "rgba(255,255,255,.25)"; g.fillRect(x, y - 1, w, 6);
  g.fillStyle = out ? "#D55E00" : "rgba(255,255,255,.75)"; g.fillRect(x + w / 3, y - 1, w / 3, 6);
  g.fillStyle = show.hue;
  g.beginPath(); g.arc(x + w / 2 - show.offset / RAIL * w / 2, y + 2, 6.5, 0, 7); g.fill();
  g.strokeStyle = "#fff"; g.lineWidth = 2; g.stroke();
  if (out) {
    const [mx, my] = small ? [W - 64, 90] : [W / 2, y + 30]; // below the retina, or below the lane
    pill(g, mx - 52, my - 12, 104, 24, "#B34700");
    hudText("off the lane", mx, my + 0.5, "center", 700, 13);
  }
  // The wheel.
  const v = Math.min(200, 0.4 * W), u = W / 2 - v / 2, z = H - 20;
  pill(g, u - 12, z - 9, v + 24, 18);
  g.fillStyle = "rgba(255,255,255,.3)"; g.fillRect(u, z - 2, v, 4);
  g.fillStyle = "#fff"; g.fillRect(W / 2 - 1, z - 6, 2, 12);
  for (const [steering, colour] of show.wheels) {
    g.fillStyle = colour;
    g.beginPath(); g.roundRect(W / 2 - steering * v / 2 - 5, z - 8, 10, 16, 4); g.fill();
    g.strokeStyle = "rgba(0,0,0,.55)"; g.lineWidth = 1; g.stroke();
  }
  // The retina.
  const k = small ? 2 : 3, rx = W - 12 - COLUMNS * k, ry = 12;
  g.imageSmoothingEnabled = false;
  g.drawImage(show.retina, rx, ry, COLUMNS * k, ROWS * k);
  g.strokeStyle = "rgba(255,255,255,.9)"; g.lineWidth = 1.5;
  g.strokeRect(rx - 0.75, ry - 0.75, COLUMNS * k + 1.5, ROWS * k + 1.5);
  if (!small) { pill(g, rx - 1, ry + ROWS * k + 5, COLUMNS * k + 2, 18); hudText("what a net sees", rx + COLUMNS * k / 2, ry + ROWS * k + 14.5, "center", 500, 11); }
  if (show.call) {
    pill(g, W / 2 - 34, 0.5 * H - 34, 68, 68, "rgba(12,16,26,.72)");
    polygon(g, [[W / 2 - 10, 0.5 * H - 16], [W / 2 + 18, 0.5 * H], [W / 2 - 10, 0.5 * H + 16]], "#fff");
    const words = show.call;
    g.font = `600 ${size}px system-ui, sans-serif`;
    const half = g.measureText(words).width / 2 + 14;
    pill(g, W / 2 - half, 0.5 * H + 42, 2 * half, 26);
    hudText(words, W / 2, 0.5 * H + 55.5, "center");
  }
}
