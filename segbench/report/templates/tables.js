"use strict";
/* Tables: sorting, choosing columns, searching, opening rows; and the words that explain a heading. */
const plainRows = (table) => Array.from(table.tBodies[0].rows).filter((row) => !row.classList.contains("details"));
const detailsOf = (row) => (row.nextElementSibling?.classList.contains("details") ? row.nextElementSibling : null);
const valueOf = (cell) => ("sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent.trim());
function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}
function sortBy(table, column, direction) {
  const rows = plainRows(table).map((row) => ({ row, details: detailsOf(row), value: valueOf(row.cells[column]) }));
  rows.sort((one, other) => {
    if (one.value === "" || other.value === "") return (one.value === "") - (other.value === "");
    return direction * compare(one.value, other.value);
  });
  table.tBodies[0].append(...rows.flatMap(({ row, details }) => (details ? [row, details] : [row])));
}
for (const table of document.querySelectorAll("table")) {
  const headers = Array.from(table.tHead.rows[0].cells);
  headers.forEach((header, column) => {
    header.querySelector("button")?.addEventListener("click", () => {
      const first = header.dataset.first === "down" ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = header.getAttribute("aria-sort") === first ? second : first;
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", order);
      sortBy(table, column, order === "ascending" ? 1 : -1);
    });
  });
}
function showColumn(table, column, shown) {
  table.tHead.rows[0].cells[column].hidden = !shown;
  for (const row of plainRows(table)) row.cells[column].hidden = !shown;
}
for (const tools of document.querySelectorAll(".table > .tools")) {
  const table = tools.parentElement.querySelector("table");
  const headers = Array.from(table.tHead.rows[0].cells);
  const none = tools.parentElement.querySelector(".none");
  const buttons = Array.from(tools.querySelectorAll(".presets button"));
  const boxes = Array.from(tools.querySelectorAll(".choices input"));
  const input = tools.querySelector("input[type=search]");
  const family = tools.querySelector("select");
  const press = (name) => buttons.forEach((one) => one.setAttribute("aria-pressed", String(one.dataset.preset === name)));
  for (const button of buttons) {
    button.addEventListener("click", () => {
      const name = button.dataset.preset;
      for (const box of boxes) {
        const { preset, overview } = headers[box.dataset.column].dataset;
        const basic = ["#", "mIoU"].includes(headers[box.dataset.column].textContent.slice(0, 4).replace(/^#.*/, "#"));
        box.checked = name === "all" || (name === "overview" ? overview !== undefined : preset === name || basic);
        showColumn(table, Number(box.dataset.column), box.checked);
      }
      press(name);
    });
  }
  for (const box of boxes) {
    box.addEventListener("change", () => {
      showColumn(table, Number(box.dataset.column), box.checked);
      press("");
    });
  }
  const search = () => {
    const wanted = (input?.value ?? "").trim().toLowerCase();
    let found = 0;
    for (const row of plainRows(table)) {
      const fits = row.textContent.toLowerCase().includes(wanted);
      row.hidden = !fits || Boolean(family?.value && row.dataset.family !== family.value);
      found += !row.hidden;
      const details = detailsOf(row);
      if (details) details.hidden = row.hidden || row.querySelector(".open").getAttribute("aria-expanded") !== "true";
    }
    none.textContent = found ? "" : "None: no row fits this search.";
  };
  input?.addEventListener("input", search);
  family?.addEventListener("change", search);
}
function setOpen(button, open) {
  const details = document.getElementById(button.getAttribute("aria-controls"));
  button.setAttribute("aria-expanded", String(open));
  details.hidden = !open;
  if (open) details.dispatchEvent(new CustomEvent("opened", { bubbles: true }));
}
for (const row of document.querySelectorAll("tr.opens")) {
  const button = row.querySelector(".open");
  button.addEventListener("click", () => setOpen(button, button.getAttribute("aria-expanded") !== "true"));
  row.addEventListener("click", (event) => {
    if (!event.target.closest("button, .caveat") && !String(getSelection())) button.click();
  });
}
const tip = document.getElementById("tip");
function showTip(lines, x, y) {
  tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x, document.documentElement.clientWidth - width - 4))}px`;
  tip.style.top = `${y + height + 4 > innerHeight ? y - height - 24 : y}px`;
}
const hideTip = () => {
  tip.hidden = true;
};
for (const told of document.querySelectorAll("[data-words]")) {
  const show = () => {
    const { left, bottom } = told.getBoundingClientRect();
    showTip([told.dataset.words], left, bottom + 6);
  };
  for (const event of ["mouseenter", "focus"]) told.addEventListener(event, show);
  for (const event of ["mouseleave", "blur"]) told.addEventListener(event, hideTip);
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideTip();
});
function openTarget() {
  let place = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  for (; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
}
const linkBar = document.querySelector("nav");
function keepClearOfBar() {
  const covered = getComputedStyle(linkBar).position === "sticky" ? linkBar.offsetHeight : 0;
  document.documentElement.style.scrollPaddingTop = `${covered + 8}px`;
}
addEventListener("resize", keepClearOfBar);
keepClearOfBar();
addEventListener("hashchange", openTarget);
openTarget();
let folded = [];
addEventListener("beforeprint", () => {
  folded = Array.from(document.querySelectorAll("details.fold:not([open], .unprinted)"));
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});
