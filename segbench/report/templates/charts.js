/* Figures from data, each with tooltips: points with intervals, rows of intervals or bars, curves, slopes and
   reliability diagrams. */
/* Points in a plane, or one a row: with an interval ("forest"), a box, or a bar from 0 ("bars"). */
function points(holder, data, width) {
  const rows = data.kind !== "scatter";
  const bars = data.kind === "bars";
  const narrow = width < 520;
  const all = data.points;
  const [low, high] = ends(all, "x", "across");
  const xRange = bars ? [0, high * 1.06] : data.log ? [low / 1.3, high * 1.3] : pad(low, high, rows ? 0.06 : 0.12);
  const yRange = rows ? [-0.6, all.length - 0.4] : pad(...ends(all, "y", "up"), 0.08);
  const height = rows ? 62 + 28 * all.length : narrow ? 300 : 360;
  const names = all.map((point) => cut(point.name, narrow ? 17 : 44));
  const sides = data.sides ?? [];
  const yAxis = rows
    ? { size: widthOf(names) + 16, splits: () => all.map((_, i) => i), values: (_, found) => found.map((row) => names[row]) }
    : { label: data.y, size: 44 };
  let chosen = () => -1;
  const draw = (plot) => {
    const c = plot.ctx;
    const place = placeIn(plot);
    const at = (point) => place(point.x, point.y);
    const area = areaOf(plot);
    c.save();
    onScreen(c);
    c.font = FONT;
    const steps = (data.front ?? []).flatMap(([x, y], i, front) => {
      const [px, py] = place(x, y);
      if (!i) return [[px, py]];
      const [bx, by] = place(...front[i - 1]);
      return [data.step > 0 ? [px, by] : [bx, py], [px, py]];
    });
    stroke(c, style("--soft"), 1, steps);
    const lines = steps.slice(1).map((end, i) => [steps[i], end]);
    c.globalAlpha = 0.6;
    for (const point of all) {
      const across = point.across?.map((x) => place(x, point.y));
      const up = point.up?.map((y) => place(point.x, y));
      const box = point.box?.map((x) => place(x, point.y));
      for (const line of [across, up]) if (line) lines.push(line);
      if (across) stroke(c, point.color, bars ? 12 : box ? 1.5 : rows ? 5 : 1.5, across);
      if (up) stroke(c, point.color, 1.5, up);
      if (box) stroke(c, point.color, 12, box);
    }
    c.globalAlpha = 1;
    all.forEach((point, index) => mark(c, point, ...at(point), index === chosen()));
    if (rows) {
      c.fillStyle = style("--ink");
      sides.forEach((word, i) => c.fillText(word, area[2] + 8, at(all[i])[1]));
    } else {
      const named = all.map((point, i) => ({ name: names[i], x: at(point)[0], y: at(point)[1] }));
      const placed = placeNames(c, named, [area[0], area[1], area[2] + 14, area[3]], lines);
      for (const one of placed) stroke(c, style("--soft"), 1, one.from);
      for (const one of placed) write(c, one.name, one.x, one.y);
    }
    c.restore();
  };
  const order = all.map((point) => point.x).sort((a, b) => a - b);
  const plot = new uPlot(
    {
      ...QUIET,
      width,
      height,
      padding: [12, sides.some(Boolean) ? widthOf(sides) + 16 : 16, 0, 0],
      scales: {
        x: { time: false, range: () => xRange, distr: data.log ? 3 : 1 },
        y: { range: () => yRange, dir: rows ? -1 : 1 },
      },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axis(data.log ? `${data.x}, log scale` : data.x, {
          size: 30,
          space: narrow ? 48 : 70,
          values: (_, splits) => splits.map((value) => (value === null ? "" : data.unit ? value.toLocaleString("en") + data.unit : short(value))),
          ...(data.log ? { splits: () => logSplits(...xRange, width - 100), filter: (_, splits) => splits } : {}),
        }),
        axis(undefined, { ...yAxis, stroke: style(rows ? "--ink" : "--soft") }),
      ],
      hooks: { draw: [draw] },
    },
    [order, order.map((_, i) => all[i].y)],
    holder,
  );
  const at = (i) => [plot.valToPos(all[i].x, "x"), plot.valToPos(all[i].y, "y")];
  chosen = choosing(holder, plot, all.length, at, (i) => [all[i].name, ...all[i].tip]);
}
/* On a logarithmic axis: the powers of ten alone, with 2 and 5 where there is room, and with more where it is short. */
function logSplits(low, high, width) {
  const splits = [];
  const room = width / Math.log10(high / low);
  const leads = room < 150 ? [1] : high > 6 * low ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    splits.push(...leads.map((lead) => lead * 10 ** power));
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
  const longest = width < 520 ? 17 : 44;
  const draw = (plot) => {
    const c = plot.ctx;
    const at = placeIn(plot);
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
      const [, top, right, bottom] = areaOf(plot);
      const last = lines.map((line, number) => ({
        name: cut(line.name, longest),
        color: line.color,
        y: at(line.x.at(-1), line.y.at(-1))[1],
        faint: told >= 0 && told !== number,
      }));
      nameEnds(c, last, right - 8, 1, top, bottom);
    }
    c.restore();
  };
  const room = widthOf(lines.map((line) => cut(line.name, longest))) + 30;
  const all = lines.flatMap((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]).filter((v) => v !== null);
  const plot = new uPlot(
    {
      ...QUIET,
      width,
      height,
      padding: [12, named ? room : 12, 0, 0],
      scales: { x: { time: false }, y: { range: () => pad(Math.min(...all), Math.max(...all), 0.06) } },
      series: [{}, ...lines.map(() => ({ paths: () => null, points: { show: false } }))],
      axes: [axis(data.x, { size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }), axis(y, { size: 44 })],
      hooks: { draw: [draw] },
    },
    [epochs, ...lines.map((line) => value(line, "y"))],
    holder,
  );
  const at = (i) => [plot.valToPos(places[i].x, "x"), plot.valToPos(places[i].y, "y")];
  const told = (i) => [lines[places[i].number].name, `${data.x} ${places[i].x}: ${places[i].y}`];
  chosen = choosing(holder, plot, places.length, at, told);
}
/* Lines from a first value to a second, named with their values at both ends. */
function slopes(holder, data, width) {
  const { lines } = data;
  const narrow = width < 520;
  const words = (line, side) => {
    if (!side) return narrow ? line.words[0] : `${cut(line.name, 36)}  ${line.words[0]}`;
    return narrow ? `${cut(line.name, 17)} ${line.change}` : `${cut(line.name, 36)}  ${line.words[1]} (${line.change})`;
  };
  const rooms = [0, 1].map((side) => widthOf(lines.map((line) => words(line, side))) + 34);
  const extra = narrow ? 0 : Math.max(0, width - rooms[0] - rooms[1] - 640) / 2; // not so long that slopes look flat
  const values = lines.flatMap((line) => line.y);
  let chosen = () => -1;
  const draw = (plot) => {
    const c = plot.ctx;
    const at = placeIn(plot);
    const [left, top, right, bottom] = areaOf(plot);
    c.save();
    onScreen(c);
    c.font = FONT;
    for (const x of [left, right]) stroke(c, style("--line"), 1, [[x, top], [x, bottom]]);
    lines.forEach((line, number) => {
      c.globalAlpha = chosen() < 0 || chosen() % lines.length === number ? 1 : 0.3;
      const both = [at(0, line.y[0]), at(1, line.y[1])];
      stroke(c, line.color, 2.5, both);
      for (const [x, y] of both) mark(c, line, x, y, false);
    });
    c.globalAlpha = 1;
    for (const side of [0, 1]) {
      const named = lines.map((line) => ({ name: words(line, side), color: line.color, y: at(side, line.y[side])[1] }));
      nameEnds(c, named, side ? right : left, side ? 1 : -1, top, bottom);
    }
    c.restore();
  };
  const plot = new uPlot(
    {
      ...QUIET,
      width,
      height: Math.max(narrow ? 260 : 320, 50 + 24 * lines.length),
      padding: [14, rooms[1] + extra, 0, rooms[0] + extra],
      scales: { x: { time: false, range: () => [0, 1] }, y: { range: () => pad(Math.min(...values), Math.max(...values), 0.08) } },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axis(undefined, { size: 28, stroke: style("--ink"), splits: () => [0, 1], values: () => data.ends, grid: { show: false } }),
        { show: false },
      ],
      hooks: { draw: [draw] },
    },
    [[0, 1], [values[0], values[1]]],
    holder,
  );
  const at = (i) => {
    const [side, line] = [i < lines.length ? 0 : 1, lines[i % lines.length]];
    return [plot.valToPos(side, "x"), plot.valToPos(line.y[side], "y")];
  };
  const told = (i) => [lines[i % lines.length].name, ...lines[i % lines.length].tip];
  chosen = choosing(holder, plot, 2 * lines.length, at, told);
}
/* One network's reliability diagram: the share of pixels that are right by confidence, and how many pixels those are. */
function reliability(holder, data, panelData, width, leftmost) {
  const { name, color, told: words, bins } = panelData;
  const known = bins.filter((bin) => bin.share > 0);
  holder.style.width = `${width}px`;
  holder.append(Object.assign(document.createElement("div"), { className: "panel-name", textContent: name }));
  holder.append(Object.assign(document.createElement("div"), { className: "panel-told", textContent: words }));
  let chosen = () => -1;
  const draw = (plot) => {
    const c = plot.ctx;
    const at = placeIn(plot);
    c.save();
    onScreen(c);
    c.fillStyle = style("--line");
    bins.forEach(({ share }, i) => {
      const [[left, top], [right, bottom]] = [at(i / bins.length, share), at((i + 1) / bins.length, 0)];
      c.fillRect(left, top, right - left, bottom - top);
    });
    c.setLineDash([4, 4]);
    stroke(c, style("--soft"), 1, [at(0, 0), at(1, 1)]);
    c.setLineDash([]);
    stroke(c, color, 2, known.map((bin) => at(bin.x, bin.y)));
    known.forEach((bin, i) => {
      c.beginPath();
      c.arc(...at(bin.x, bin.y), i === chosen() ? 5 : 3, 0, 7);
      c.fillStyle = color;
      c.fill();
    });
    c.restore();
  };
  const whole = { time: false, range: () => [0, 1] };
  const plot = new uPlot(
    {
      ...QUIET,
      width,
      height: width + 10,
      padding: [8, 10, 0, 0],
      scales: { x: whole, y: whole },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        axis(data.x, { size: 26, incrs: [0.25, 0.5] }),
        axis(leftmost ? data.y : undefined, { size: 40, incrs: [0.25, 0.5] }),
      ],
      hooks: { draw: [draw] },
    },
    [[0, 1], [0, 1]],
    holder,
  );
  const at = (i) => [plot.valToPos(known[i].x, "x"), plot.valToPos(known[i].y, "y")];
  chosen = choosing(holder, plot, known.length, at, (i) => [name, ...known[i].tip]);
}
function drawChart(chart) {
  const data = JSON.parse(chart.querySelector("span").textContent);
  chart.querySelectorAll(".plot").forEach((one) => one.remove());
  chart.hidden = false;
  chart.parentElement.classList.add("drawn");
  if (data.kind === "heat") return heat(chart, data);
  const width = Math.floor(chart.clientWidth);
  const add = () => withKeys(chart, chart.appendChild(Object.assign(document.createElement("div"), { className: "plot" })));
  if (data.kind === "slopes") return slopes(add(), data, width);
  if (!data.panels) return points(add(), data, width);
  const { panels } = data;
  if (data.kind === "reliability") {
    const across = Math.min(panels.length, Math.max(2, Math.floor(width / 190)));
    const wide = Math.min(300, Math.floor(width / across));
    return panels.forEach((one, i) => reliability(add(), data, one, wide, i % across === 0));
  }
  const side = panels.length > 1 && width > 800 ? Math.floor(width / 2) : width;
  for (const one of panels) {
    if (data.kind === "curves") panel(add(), data, one, side, 340);
    else points(add(), { ...data, ...one }, side);
  }
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
