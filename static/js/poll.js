/* section[data-poll=seconds]: the progress of a job, fetched anew from this address until the section no longer asks or
   the address shows the result in its place. */
"use strict";
(() => {
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
        else if (answer.ok) { location.reload(); return; }
      } catch { /* asked again next time */ }
      poll();
    }, 1000 * Number(section.dataset.poll));
  };
  poll();
})();
