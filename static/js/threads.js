/* An address like #item-height_cm (or #query-12) leads to the field: its thread is unfolded and the field gets the focus.
   Without script the page still scrolls there, and the server unfolds the thread of `?query=`. */
"use strict";
(() => {
  const go = () => {
    let id;
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = /^(item|query)-/.test(id) && document.getElementById(id);
    if (!target) return;
    // on a page to read the anchor is the term, and what is said of it follows in the next element
    const place = target.matches("dt") ? target.nextElementSibling : target;
    const threads = place.matches("details") ? [place] : [...place.querySelectorAll("details[data-thread]")];
    const asked = new URLSearchParams(location.search).get("query");
    for (const thread of threads) if (!asked || thread.id === `query-${asked}` || threads.length === 1) thread.open = true;
    const input = "input:not([type=hidden]):not([disabled]), select, textarea";
    const checked = place.querySelector("input[type=radio]:checked");
    const field = document.querySelector("form[data-crf]") && (checked || place.querySelector(input));
    const goal = field || place.querySelector("summary");
    if (!goal) return;
    goal.focus({ preventScroll: true });
    target.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", go);
  go();
})();
