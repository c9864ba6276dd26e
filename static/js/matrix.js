/* Subject x visit matrix: table[data-matrix]. Arrow keys move between the cells (one tab stop), Home and End within the row,
   Enter opens (they are links). Chips in [data-matrix-filters] show only rows that have a cell of that state. */
"use strict";
(() => {
  const table = document.querySelector("table[data-matrix]");
  if (!table) return;
  const rows = [...table.tBodies[0].rows];
  const target = (cell) => cell && cell.querySelector("a, span.cell");
  const stops = rows.map((row) => [...row.cells].map(target));
  let current = null;
  const go = (element, focus = true) => {
    if (!element) return;
    if (current) current.tabIndex = -1;
    current = element;
    current.tabIndex = 0;
    if (focus) { current.focus(); current.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  };
  for (const row of stops) for (const stop of row) if (stop) stop.tabIndex = -1;
  const first = () => stops.find((row, index) => !rows[index].hidden)?.[0];
  go(first(), false);

  table.addEventListener("keydown", (event) => {
    const y = stops.findIndex((row) => row.includes(event.target));
    if (y < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const x = stops[y].indexOf(event.target);
    const shown = rows.map((row, index) => index).filter((index) => !rows[index].hidden);
    const step = (by) => shown[shown.indexOf(y) + by];
    const next = {
      ArrowLeft: () => stops[y][x - 1], ArrowRight: () => stops[y][x + 1],
      ArrowUp: () => stops[step(-1)]?.[x], ArrowDown: () => stops[step(1)]?.[x],
      Home: () => stops[y][0], End: () => stops[y].at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    go(next());
  });
  table.addEventListener("focusin", (event) => { if (stops.some((row) => row.includes(event.target))) go(event.target, false); });

  const bar = document.querySelector("[data-matrix-filters]");
  if (!bar) return;
  bar.hidden = false;
  const chips = [...bar.querySelectorAll("[data-filter]")];
  const shownText = bar.querySelector("[data-matrix-shown]");
  const apply = () => {
    const wanted = chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.filter);
    for (const row of rows) {
      row.hidden = wanted.length > 0 && !wanted.some((state) =>
        row.querySelector(state === "query" ? "td[data-query]" : `td[data-state~="${CSS.escape(state)}"]`));
    }
    if (shownText) {
      shownText.textContent = shownText.dataset.text
        .replace("{shown}", rows.filter((row) => !row.hidden).length).replace("{all}", rows.length);
    }
    if (current && current.closest("tr").hidden) go(first(), false);
  };
  bar.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-filter]");
    if (!chip) return;
    chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
    apply();
  });
})();
