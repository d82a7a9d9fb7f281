/* A heat map from data: a table whose cells are shaded, each with a tooltip. */
const SHADES = 10;
function heat(chart, data) {
  const add = (parent, tag, text = "", name = "") =>
    parent.appendChild(Object.assign(document.createElement(tag), { textContent: text, className: name }));
  const holder = add(chart, "div", "", "plot heatmap");
  const table = add(holder, "table");
  const head = add(add(table, "thead"), "tr");
  for (const name of [data.corner, ...data.columns]) add(head, "th", name).scope = "col";
  const body = add(table, "tbody");
  const cells = [];
  for (const row of data.rows) {
    const line = add(body, "tr");
    add(line, "th", row.name).scope = "row";
    for (const one of row.cells) {
      const shade = one.share === null ? "" : `h${Math.min(SHADES - 1, Math.floor(one.share * SHADES))}`;
      cells.push({ place: add(line, "td", one.text, `heat ${shade}`), tip: one.tip });
    }
  }
  const scale = add(holder, "p", "", "scale");
  add(scale, "span", data.scale[0]);
  for (let i = 0; i < SHADES; i++) add(scale, "i", "", `h${i}`);
  add(scale, "span", data.scale[1]);
  let chosen = -1;
  const choose = (index) => {
    cells[chosen]?.place.classList.remove("chosen");
    chosen = index;
    if (index < 0) return hideTip();
    const { place, tip: told } = cells[index];
    place.classList.add("chosen");
    const { left, bottom } = place.getBoundingClientRect();
    showTip(told, left, bottom + 6);
  };
  cells.forEach(({ place }, index) => {
    place.addEventListener("mouseenter", () => choose(index));
    place.addEventListener("mouseleave", () => choose(-1));
  });
  const across = data.columns.length;
  chart.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: across, ArrowLeft: -1, ArrowUp: -across }[event.key];
    if (!step) return;
    event.preventDefault();
    choose((Math.max(chosen, 0) + (chosen < 0 ? 0 : step) + cells.length) % cells.length);
  };
  chart.onblur = () => choose(-1);
}
