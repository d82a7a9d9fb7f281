/* Figures from data: points with intervals, rows of intervals, and curves, each with tooltips. */
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
  (SHAPES[point.marker] ?? SHAPES.o)(c, strong ? 8 : 6);
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
/* Names at points: each where it covers least of the others. */
function placeNames(c, named, area) {
  const taken = named.map(({ x, y }) => [x - 7, y - 7, x + 7, y + 7]);
  const shared = (a, b) =>
    Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  return named.map(({ name, x, y }) => {
    const [w, h] = [c.measureText(name).width, 14];
    let best = null;
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1], [1, -2], [1, 2]]) {
      const left = dx > 0 ? x + 10 : dx < 0 ? x - 10 - w : x - w / 2;
      const top = y + dy * 14 - h / 2;
      const box = [left, top, left + w, top + h];
      const cost = taken.reduce((sum, other) => sum + shared(box, other), 0) + 4 * (w * h - shared(box, area));
      if (!best || cost < best.cost - 0.01) best = { cost, box };
    }
    taken.push(best.box);
    return { name, x: best.box[0], y: best.box[1] + h / 2 };
  });
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
  ...more,
});
function onScreen(c) {
  c.scale(devicePixelRatio, devicePixelRatio);
  c.textAlign = "left";
  c.textBaseline = "middle";
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
function points(holder, data, width) {
  const forest = data.kind === "forest";
  const narrow = width < 520;
  const all = data.points;
  const [low, high] = ends(all, "x", "across");
  const xRange = data.log ? [low / 1.6, high * 1.6] : pad(low, high, forest ? 0.06 : 0.12);
  const yRange = forest ? [all.length - 0.4, -0.6] : pad(...ends(all, "y", "up"), 0.08);
  const height = forest ? 70 + 30 * all.length : narrow ? 300 : 360;
  const name = (text) => (narrow && text.length > 16 ? `${text.slice(0, 15)}…` : text);
  const room = (words) => {
    const c = document.createElement("canvas").getContext("2d");
    c.font = FONT;
    return Math.max(...words.map((word) => c.measureText(word).width), 0) + 16;
  };
  const names = all.map((point) => name(point.name));
  const side = forest && data.sides.some(Boolean) ? room(data.sides) : 12;
  const yAxis = forest
    ? { size: room(names), splits: () => all.map((_, i) => i), values: (_, rows) => rows.map((row) => names[row]) }
    : { label: data.y, labelFont: FONT, size: 50 };
  let chosen = () => -1;
  const draw = (plot) => {
    const c = plot.ctx;
    const at = (point) => [
      (plot.valToPos(point.x, "x", true)) / devicePixelRatio,
      (plot.valToPos(point.y, "y", true)) / devicePixelRatio,
    ];
    c.save();
    onScreen(c);
    c.font = FONT;
    const steps = (data.front ?? []).flatMap(([x, y], i, front) => {
      const [px, py] = at({ x, y });
      if (!i) return [[px, py]];
      const [bx, by] = at({ x: front[i - 1][0], y: front[i - 1][1] });
      return [data.step > 0 ? [px, by] : [bx, py], [px, py]];
    });
    stroke(c, style("--soft"), 1, steps);
    c.globalAlpha = 0.6;
    for (const point of all) {
      const across = point.across?.map((x) => at({ ...point, x }));
      const up = point.up?.map((y) => at({ ...point, y }));
      for (const bar of [across, up]) if (bar) stroke(c, point.color, forest ? 5 : 1.5, bar);
    }
    c.globalAlpha = 1;
    all.forEach((point, index) => mark(c, point, ...at(point), index === chosen()));
    c.fillStyle = style("--ink");
    const { left, top, width: w, height: h } = plot.bbox;
    const area = [left, top, left + w, top + h].map((value) => value / devicePixelRatio);
    if (forest) data.sides.forEach((word, i) => c.fillText(word, area[2] + 8, at(all[i])[1]));
    else {
      const named = all.map((point) => ({ name: name(point.name), x: at(point)[0], y: at(point)[1] }));
      for (const one of placeNames(c, named, area)) c.fillText(one.name, one.x, one.y);
    }
    c.restore();
  };
  const order = all.map((point) => point.x).sort((a, b) => a - b);
  const plot = new uPlot(
    {
      width,
      height,
      padding: [12, side, 0, 0],
      legend: { show: false },
      cursor: { x: false, y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: {
        x: { time: false, range: () => xRange, distr: data.log ? 3 : 1 },
        y: { range: () => (forest ? [yRange[1], yRange[0]] : yRange), dir: forest ? -1 : 1 },
      },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axis(data.log ? `${data.x}, log scale` : data.x, {
          space: 80,
          values: (_, splits) => splits.map((value) => (value === null ? "" : short(value))),
          ...(data.log ? { splits: () => logSplits(...xRange), filter: (_, splits) => splits } : {}),
        }),
        axis(undefined, { ...yAxis, stroke: style(forest ? "--ink" : "--soft") }),
      ],
      hooks: { draw: [draw] },
    },
    [order, order.map((_, i) => all[i].y)],
    holder,
  );
  const at = (i) => [plot.valToPos(all[i].x, "x"), plot.valToPos(all[i].y, "y")];
  chosen = choosing(holder, plot, all.length, at, (i) => [all[i].name, ...all[i].tip]);
}
/* On a logarithmic axis: 1, 2 and 5 of each power of ten, or the powers alone where it is long. */
function logSplits(low, high) {
  const splits = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    splits.push(...(high > 300 * low ? [1] : [1, 2, 5]).map((lead) => lead * 10 ** power));
  }
  return splits.filter((value) => value >= low && value <= high);
}
function panel(holder, data, panelData, width, height) {
  const { lines, y } = panelData;
  const epochs = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const value = (line, key) => {
    const at = new Map(line.x.map((x, i) => [x, line[key]?.[i] ?? null]));
    return epochs.map((x) => at.get(x) ?? null);
  };
  let chosen = () => -1;
  const places = lines.flatMap((line, number) => line.x.map((x, i) => ({ number, x, y: line.y[i] })));
  const named = lines.length > 1;
  const draw = (plot) => {
    const c = plot.ctx;
    const at = (x, v) => [plot.valToPos(x, "x", true) / devicePixelRatio, plot.valToPos(v, "y", true) / devicePixelRatio];
    c.save();
    onScreen(c);
    lines.forEach((line) => {
      if (!line.low) return;
      const band = line.x.map((x, i) => [x, line.low[i], line.high[i]]).filter((one) => one[1] !== null);
      c.globalAlpha = 0.18;
      c.fillStyle = line.color;
      c.beginPath();
      band.forEach(([x, low], i) => c[i ? "lineTo" : "moveTo"](...at(x, low)));
      band.reverse().forEach(([x, , up]) => c.lineTo(...at(x, up)));
      c.fill();
      c.globalAlpha = 1;
    });
    const told = chosen() < 0 ? -1 : places[chosen()].number;
    lines.forEach((line, number) => {
      c.globalAlpha = told < 0 || told === number ? 1 : 0.25;
      stroke(c, line.color, told === number ? 3 : 2, line.x.map((x, i) => at(x, line.y[i])));
    });
    c.globalAlpha = 1;
    if (named) {
      c.font = FONT;
      const right = (plot.bbox.left + plot.bbox.width) / devicePixelRatio + 8;
      const last = lines.map((line) => ({ line, y: at(line.x.at(-1), line.y.at(-1))[1] })).sort((a, b) => b.y - a.y);
      let free = Infinity;
      for (const one of last) {
        const place = Math.min(one.y, free);
        free = place - 14;
        c.fillStyle = one.line.color;
        c.fillRect(right, place - 1, 8, 3);
        c.fillStyle = style("--ink");
        c.fillText(one.line.name, right + 12, place);
      }
    }
    c.restore();
  };
  const room = Math.min(width * 0.4, 24 + 6.6 * Math.max(...lines.map((line) => line.name.length)));
  const all = lines.flatMap((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]).filter((v) => v !== null);
  const plot = new uPlot(
    {
      width,
      height,
      padding: [12, named ? room : 12, 0, 0],
      legend: { show: false },
      cursor: { x: false, y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: false }, y: { range: () => pad(Math.min(...all), Math.max(...all), 0.06) } },
      series: [{}, ...lines.map(() => ({ paths: () => null, points: { show: false } }))],
      axes: [axis(data.x, { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }), axis(y, { size: 50 })],
      hooks: { draw: [draw] },
    },
    [epochs, ...lines.map((line) => value(line, "y"))],
    holder,
  );
  const at = (i) => [plot.valToPos(places[i].x, "x"), plot.valToPos(places[i].y, "y")];
  const told = (i) => [lines[places[i].number].name, `${data.x} ${places[i].x}: ${places[i].y}`];
  chosen = choosing(holder, plot, places.length, at, told);
}
function drawChart(chart) {
  const data = JSON.parse(chart.querySelector("span").textContent);
  chart.querySelectorAll(".plot").forEach((one) => one.remove());
  chart.hidden = false;
  chart.parentElement.classList.add("drawn");
  if (data.kind === "heat") return heat(chart, data);
  const width = Math.floor(chart.clientWidth);
  const add = () => chart.appendChild(Object.assign(document.createElement("div"), { className: "plot" }));
  if (data.kind !== "curves") return points(withKeys(chart, add()), data, width);
  const side = data.panels.length > 1 && width > 800 ? Math.floor(width / 2) : width;
  for (const one of data.panels) panel(withKeys(chart, add()), data, one, side, 340);
}
/* The chart has the focus, and its last plot the keys. */
function withKeys(chart, plot) {
  chart.onkeydown = (event) => plot.onkeydown?.(event);
  chart.onblur = () => plot.onblur?.();
  return plot;
}
function drawOwnCurves(place) {
  const charts = Array.from(document.querySelectorAll(".chart"));
  const chart = charts.find((one) => one.dataset.drawing === place.dataset.drawing);
  if (!chart) return;
  const data = JSON.parse(chart.querySelector("span").textContent);
  const { clientWidth: width } = place;
  const side = width > 640 ? Math.floor(width / data.panels.length) : width;
  place.replaceChildren();
  for (const one of data.panels) {
    const lines = one.lines.filter((line) => line.name === place.dataset.network);
    const holder = place.appendChild(Object.assign(document.createElement("div"), { className: "plot" }));
    if (lines.length) panel(holder, data, { ...one, lines }, Math.min(side, 520), 200);
  }
}
const drawAll = () => document.querySelectorAll(".chart").forEach(drawChart);
document.addEventListener("opened", (event) => event.target.querySelectorAll(".own-curve").forEach(drawOwnCurves));
document.querySelectorAll("details.fold").forEach((one) => one.addEventListener("toggle", drawAll));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
let lastWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== lastWidth) drawAll();
  lastWidth = innerWidth;
});
drawAll();
