/* table[data-coding]: arrow keys go between the buttons [data-decide] of its rows; the first of the page has the focus, so
   that Enter decides row after row. section[data-poll=seconds]: fetched anew from this address until it no longer asks. */
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

  const poll = () => {
    const section = document.querySelector("section[data-poll]");
    if (!section) return;
    setTimeout(async () => {
      try {
        const answer = await fetch(location.href, { headers: { "X-Requested-With": "XMLHttpRequest" } });
        if (answer.status === 401) { location.reload(); return; }
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(section.id);
        if (answer.ok && fresh) section.replaceWith(fresh);
      } catch { /* asked again next time */ }
      poll();
    }, 1000 * Number(section.dataset.poll));
  };
  poll();
})();
