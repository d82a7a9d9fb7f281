/* What figures share: marks, names that nothing crosses, axes, and the choice of a point by mouse or keyboard. */
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = "12px system-ui, sans-serif";
const SHAPES = {
  o: (c, r) => c.arc(0, 0, r, 0, 7),
  s: (c, r) => c.rect(-r * 0.9, -r * 0.9, r * 1.8, r * 1.8),
  D: (c, r) => corners(c, r * 1.2, 4, 0),
  "^": (c, r) => corners(c, r * 1.2, 3, -90),
  v: (c, r) => corners(c, r * 1.2, 3, 90),
  p: (c, r) => corners(c, r * 1.1, 5, -90),
  h: (c, r) => corners(c, r * 1.1, 6, -90),
  "*": (c, r) => star(c, r * 1.4),
  X: (c, r) => cross(c, r * 1.1, Math.PI / 4),
  P: (c, r) => cross(c, r * 1.1, 0),
};
function corners(c, r, count, start) {
  for (let i = 0; i < count; i++) {
    const angle = (start * Math.PI) / 180 + (2 * Math.PI * i) / count;
    c[i ? "lineTo" : "moveTo"](r * Math.cos(angle), r * Math.sin(angle));
  }
  c.closePath();
}
function star(c, r) {
  for (let i = 0; i < 10; i++) {
    const [angle, far] = [-Math.PI / 2 + (Math.PI * i) / 5, i % 2 ? r * 0.45 : r];
    c[i ? "lineTo" : "moveTo"](far * Math.cos(angle), far * Math.sin(angle));
  }
  c.closePath();
}
function cross(c, r, turn) {
  c.rotate(turn);
  c.rect(-r, -r / 3, 2 * r, (2 * r) / 3);
  c.rect(-r / 3, -r, (2 * r) / 3, 2 * r);
  c.rotate(-turn);
}
function mark(c, point, x, y, strong) {
  c.save();
  c.translate(x, y);
  c.beginPath();
  (SHAPES[point.marker] ?? SHAPES.o)(c, strong ? 8 : point.box ? 4 : 6);
  c.lineWidth = 2;
  c.fillStyle = point.hollow ? style("--paper") : point.color;
  c.strokeStyle = point.color;
  c.fill();
  if (point.hollow) c.stroke();
  c.restore();
}
function stroke(c, color, width, points) {
  c.beginPath();
  points.forEach(([x, y], index) => c[index ? "lineTo" : "moveTo"](x, y));
  c.strokeStyle = color;
  c.lineWidth = width;
  c.stroke();
}
/* Text on a strip of paper, so that no line crosses it. */
function write(c, text, x, y) {
  c.lineJoin = "round";
  c.lineWidth = 5;
  c.strokeStyle = style("--paper");
  c.strokeText(text, x, y);
  c.fillStyle = style("--ink");
  c.fillText(text, x, y);
}
const boxOf = ([[ax, ay], [bx, by]]) => [Math.min(ax, bx) - 1, Math.min(ay, by) - 1, Math.max(ax, bx) + 1, Math.max(ay, by) + 1];
const PLACES = [
  ...[[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1]],
  ...[2, 3].flatMap((far) => [[1, -far], [1, far], [-1, -far], [-1, far]]),
];
/* Names at points: each where it covers least of the marks, of the other names and of the lines (upright or level).
   To a name that is not next to its point, a line leads "from" there. */
function placeNames(c, named, area, lines) {
  const marks = named.map(({ x, y }) => [x - 7, y - 7, x + 7, y + 7]);
  const crossed = lines.map(boxOf);
  const written = [];
  const shared = (a, b) =>
    Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const sum = (boxes, box) => boxes.reduce((found, other) => found + shared(box, other), 0);
  return named.map(({ name, x, y }) => {
    const [w, h] = [c.measureText(name).width, 14];
    let best = null;
    PLACES.forEach(([dx, dy], rank) => {
      const left = dx > 0 ? x + 10 : dx < 0 ? x - 10 - w : x - w / 2;
      const top = y + dy * 14 - h / 2;
      const box = [left, top, left + w, top + h];
      const outside = w * h - shared(box, area);
      const cost = rank + 3 * sum(marks, box) + 4 * sum(written, box) + 2 * sum(crossed, box) + 8 * outside;
      const from = Math.abs(dy) > 1 ? [[x + dx * 5, y + Math.sign(dy) * 5], [x + dx * 9, top + h / 2]] : [];
      if (!best || cost < best.cost) best = { cost, box, from };
    });
    written.push(best.box);
    return { name, x: best.box[0], y: best.box[1] + h / 2, from: best.from };
  });
}
/* Sorted values moved apart as little as a gap between neighbours needs, within both ends. */
function spreadOut(values, wanted, low, high) {
  const gap = Math.min(wanted, (high - low) / Math.max(1, values.length - 1));
  const first = (group) => {
    const reach = gap * (group.length - 1);
    const middle = group.reduce((sum, value) => sum + value, 0) / group.length;
    return Math.min(Math.max(middle - reach / 2, low), high - reach);
  };
  const groups = [];
  for (const value of values) {
    groups.push([value]);
    while (groups.length > 1 && first(groups.at(-1)) < first(groups.at(-2)) + gap * groups.at(-2).length) {
      const last = groups.pop();
      groups.at(-1).push(...last);
    }
  }
  return groups.flatMap((group) => group.map((_, i) => first(group) + gap * i));
}
/* Names beside the ends of lines, each led to from its own end; "side" is 1 at the right and -1 at the left. */
function nameEnds(c, ends, x, side, top, bottom) {
  const sorted = [...ends].sort((a, b) => a.y - b.y);
  const places = spreadOut(sorted.map((one) => one.y), 14, top + 7, bottom - 7);
  c.textAlign = side > 0 ? "left" : "right";
  sorted.forEach(({ name, color, y, faint }, i) => {
    c.globalAlpha = faint ? 0.35 : 1;
    stroke(c, color, 1.5, [[x + side * 8, y], [x + side * 22, places[i]], [x + side * 26, places[i]]]);
    c.fillStyle = style("--ink");
    c.fillText(name, x + side * 30, places[i]);
  });
  c.globalAlpha = 1;
  c.textAlign = "left";
}
const short = (value) => {
  const size = [[1e9, " G"], [1e6, " M"], [1e3, " k"]].find(([least]) => Math.abs(value) >= least);
  return size ? `${+(value / size[0]).toPrecision(3)}${size[1]}` : String(+value.toPrecision(3));
};
const axis = (label, more = {}) => ({
  label,
  labelFont: FONT,
  font: FONT,
  stroke: style("--soft"),
  grid: { stroke: style("--line"), width: 1 },
  ticks: { show: false },
  labelSize: 20,
  labelGap: 2,
  ...more,
});
function onScreen(c) {
  c.scale(devicePixelRatio, devicePixelRatio);
  c.textAlign = "left";
  c.textBaseline = "middle";
}
function widthOf(words) {
  const c = document.createElement("canvas").getContext("2d");
  c.font = FONT;
  return Math.max(...words.map((word) => c.measureText(word).width), 0);
}
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const QUIET = {
  legend: { show: false },
  cursor: { x: false, y: false, drag: { x: false, y: false }, points: { show: false } },
};
/* Where a value stands, in pixels of the screen. */
const placeIn = (plot) => (x, y) => [
  plot.valToPos(x, "x", true) / devicePixelRatio,
  plot.valToPos(y, "y", true) / devicePixelRatio,
];
function areaOf(plot) {
  const { left, top, width, height } = plot.bbox;
  return [left, top, left + width, top + height].map((value) => value / devicePixelRatio);
}
function pad(low, high, share) {
  const room = (high - low) * share || Math.abs(high) * share || 1;
  return [low - room, high + room];
}
const ends = (points, key, bar) => {
  const all = points.flatMap((point) => [point[key], ...(point[bar] ?? [])]).filter((value) => value !== null);
  return [Math.min(...all), Math.max(...all)];
};
/* Lets the mouse and the arrow keys go through points, and tells of the one that is chosen. */
function choosing(holder, plot, count, at, told) {
  let chosen = -1;
  const choose = (index) => {
    chosen = index;
    plot.redraw(false);
    if (index < 0) return hideTip();
    const { left, top } = plot.over.getBoundingClientRect();
    const [x, y] = at(index);
    showTip(told(index), left + x + 14, top + y + 14);
  };
  plot.over.addEventListener("mousemove", (event) => {
    const { left, top } = plot.over.getBoundingClientRect();
    let best = [40, -1];
    for (let i = 0; i < count; i++) {
      const [x, y] = at(i);
      const far = Math.hypot(x - event.clientX + left, y - event.clientY + top);
      if (far < best[0]) best = [far, i];
    }
    if (best[1] !== chosen) choose(best[1]);
  });
  plot.over.addEventListener("mouseleave", () => choose(-1));
  holder.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !count) return;
    event.preventDefault();
    choose((chosen + step + count) % count);
  };
  holder.onblur = () => choose(-1);
  return () => chosen;
}
