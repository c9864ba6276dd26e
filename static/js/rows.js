/* Repeating rows: table[data-rows=prefix] with a <template data-row-template> in the same section and
   button[data-add-row=prefix]. Enter goes to the next cell and, after the last one, adds a row; Alt+Delete removes the row.
   A new row taken away again is only ticked as deleted and hidden: renumbering Django's formset would gain nothing. */
"use strict";
(() => {
  const CELLS = "input:not([type=hidden]):not([disabled]):not(.btn-check), select:not([disabled]), textarea:not([disabled])";
  const visible = (element) => element.offsetParent !== null;

  for (const table of document.querySelectorAll("table[data-rows]")) {
    const prefix = table.dataset.rows;
    const section = table.closest("section") || table.parentElement;
    const body = table.querySelector("[data-rows-body]");
    const template = section.querySelector("template[data-row-template]");
    const total = document.getElementById(`id_${prefix}-TOTAL_FORMS`);
    const initial = Number(document.getElementById(`id_${prefix}-INITIAL_FORMS`)?.value || 0);
    const limit = Number(document.getElementById(`id_${prefix}-MAX_NUM_FORMS`)?.value || 1000);
    const button = section.querySelector(`[data-add-row="${CSS.escape(prefix)}"]`);
    if (!template || !total) continue;

    const changed = () => table.dispatchEvent(new CustomEvent("rows:changed", { bubbles: true }));
    const number = () => {
      [...body.querySelectorAll("[data-row]")].filter((row) => !row.hidden).forEach((row, index) => {
        for (const place of row.querySelectorAll("[data-row-no]")) place.textContent = index + 1;
      });
      if (button) button.disabled = Number(total.value) >= limit;
    };
    const add = () => {
      if (Number(total.value) >= limit) return;
      const row = template.content.cloneNode(true).querySelector("[data-row]");
      const index = total.value;
      for (const element of [row, ...row.querySelectorAll("*")]) {
        for (const attribute of [...element.attributes]) {
          if (attribute.value.includes("__prefix__")) attribute.value = attribute.value.replaceAll("__prefix__", index);
        }
      }
      body.append(row);
      total.value = Number(index) + 1;
      number();
      row.dispatchEvent(new CustomEvent("rows:added", { bubbles: true }));
      changed();
      [...row.querySelectorAll(CELLS)].find(visible)?.focus();
    };

    if (button) { button.hidden = false; button.addEventListener("click", add); }
    const hint = section.querySelector("[data-rows-hint]");
    if (hint) hint.hidden = false;

    body.addEventListener("keydown", (event) => {
      const remove = event.key === "Delete" && event.altKey && event.target.closest("[data-row]")?.querySelector("[name$='-DELETE']");
      if (remove) {
        event.preventDefault();
        const rows = [...body.querySelectorAll("[data-row]")].filter((row) => !row.hidden), at = rows.indexOf(event.target.closest("[data-row]"));
        const near = rows[at + 1] || rows[at - 1];
        remove.checked = !remove.checked;
        remove.dispatchEvent(new Event("change", { bubbles: true }));
        if (near && rows[at].hidden) [...near.querySelectorAll(CELLS)].find(visible)?.focus();
        return;
      }
      if (event.key !== "Enter" || event.defaultPrevented || !event.target.matches(CELLS)) return;
      if (event.target.matches("textarea") && event.shiftKey) return;
      event.preventDefault();
      // A group of radio buttons counts as one cell.
      const cells = [...body.querySelectorAll(CELLS)].filter((cell) => visible(cell) &&
        (cell.type !== "radio" || cell === event.target || cell.name !== event.target.name));
      const next = cells[cells.indexOf(event.target) + 1];
      if (next) { next.focus(); if (next.type !== "radio") next.select?.(); } else add();
    });
    body.addEventListener("change", (event) => {
      if (!event.target.name.endsWith("-DELETE")) return;
      const row = event.target.closest("[data-row]");
      row.classList.toggle("row-removed", event.target.checked);
      const index = Number(event.target.name.slice(prefix.length + 1).split("-")[0]);
      if (event.target.checked && index >= initial) {
        row.hidden = true;
        number();
        (button || table).focus();
      }
      changed();
    });
    for (const row of body.querySelectorAll(".row-removed")) row.hidden = Number(row.id.split("-").at(-2)) >= initial;
    number();
  }
})();
