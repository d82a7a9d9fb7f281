"use strict";
const valueOf = (cell) => ("sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent.trim());
const isEmpty = (value) => value === "";
function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}
function sortBy(table, column, direction) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, value: valueOf(row.cells[column]) }));
  rows.sort((one, other) => {
    if (isEmpty(one.value) || isEmpty(other.value)) return isEmpty(one.value) - isEmpty(other.value);
    return direction * compare(one.value, other.value);
  });
  body.append(...rows.map(({ row }) => row));
}
for (const table of document.querySelectorAll("table")) {
  const headers = Array.from(table.tHead.rows[0].cells);
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortBy(table, column, ascending ? 1 : -1);
    });
  });
}
for (const input of document.querySelectorAll(".filter input")) {
  const table = document.getElementById(input.getAttribute("aria-controls"));
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
