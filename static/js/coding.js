/* table[data-coding]: arrow keys go between the buttons [data-decide] of its rows; the first of the page has the focus, so
   that Enter decides row after row. */
"use strict";
(() => {
  const tables = [...document.querySelectorAll("table[data-coding]")];
  for (const table of tables) {
    const buttons = [...table.querySelectorAll("[data-decide]")];
    table.addEventListener("keydown", (event) => {
      const place = buttons.indexOf(event.target);
      const next = { ArrowUp: place - 1, ArrowDown: place + 1 }[event.key];
      if (place < 0 || !buttons[next]) return;
      event.preventDefault();
      buttons[next].focus();
    });
  }
  if (!location.hash && !document.querySelector("[role=alert]")) {
    document.querySelector("table[data-coding] [data-decide]")?.focus({ preventScroll: true });
  }
})();
