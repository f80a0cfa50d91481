"use strict";
// A press sorts by that column, numbers largest first and names in their order; another press turns it round.
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = button.closest("table").tBodies[0];
    const column = head.cellIndex, first = column === 0 || button.textContent === "rank" ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => column === 0 ? row.cells[0].textContent : Number(row.cells[column].dataset.key);
    // What is not known comes last either way.
    const unknown = (row) => Number(column !== 0 && Number.isNaN(key(row)));
    const compare = (a, b) => column === 0
      ? key(a).localeCompare(key(b), undefined, { numeric: true })
      : key(a) - key(b);
    const rows = Array.from(body.rows).sort((a, b) => unknown(a) - unknown(b) || sign * compare(a, b));
    body.append(...rows);
    for (const one of head.parentElement.cells) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
  });
}
