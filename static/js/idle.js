// The warning two minutes before the log-off, with its countdown; the server alone decides when a session ends.
// When it has ended, the event "session-ended" is sent to the document: whoever keeps unsaved text may prevent the
// default, which is to load the page anew and so to arrive at the log-in.
(() => {
  "use strict";
  const dialog = document.querySelector("[data-idle]");
  if (!dialog) return;
  const WARN = 120;
  const left = dialog.querySelector("[data-idle-left]");
  const stay = dialog.querySelector("[data-idle-stay]");
  let ends = Date.now() + Number(dialog.dataset.idle) * 1000;
  let timer = 0;
  const remaining = () => Math.max(0, Math.ceil((ends - Date.now()) / 1000));

  // Another tab may have gone on working, so the server is asked before anything is shown.
  const ask = async (options) => {
    try {
      const answer = await fetch(dialog.dataset.url, { credentials: "same-origin", cache: "no-store", ...options });
      if (answer.ok) ends = Date.now() + (await answer.json()).seconds * 1000;
    } catch {
      // No network: go on by the last answer.
    }
  };

  const arm = () => {
    clearTimeout(timer);
    const seconds = remaining();
    if (seconds > WARN) {
      if (dialog.open) dialog.close();
      timer = setTimeout(check, Math.min((seconds - WARN) * 1000, 2 ** 30));
    } else if (seconds > 0) {
      if (!dialog.open) dialog.showModal();
      left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      timer = setTimeout(seconds > 1 ? arm : check, 1000);
    } else {
      if (dialog.open) dialog.close();
      const event = new CustomEvent("session-ended", { cancelable: true });
      if (document.dispatchEvent(event)) {
        const here = encodeURIComponent(location.pathname + location.search);
        location.assign(`${dialog.dataset.login}?next=${here}`);
      }
    }
  };
  const check = async () => {
    await ask({});
    arm();
  };

  stay.addEventListener("click", async () => {
    const token = dialog.querySelector("[name=csrfmiddlewaretoken]").value;
    await ask({ method: "POST", headers: { "X-CSRFToken": token } });
    stay.hidden = remaining() <= WARN; // the longest time of a session is up: staying does not help
    arm();
  });
  // A computer that slept has missed its timers. Whoever renewed the log-in over a form says so by this event.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) check(); });
  document.addEventListener("session-renewed", check);
  arm();
})();
