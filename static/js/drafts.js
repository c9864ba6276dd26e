/* Drafts: form[data-draft-url]. What is typed is posted there a little after each change, and when the page is left.
   Save first saves the draft: so a session that ran out is noticed before the form is sent, and a <dialog> asks for the
   password over it (form[data-renew], templates/access/renew.html). The form works without any of this. */
"use strict";
(() => {
  const form = document.querySelector("form[data-draft-url]");
  if (!form) return;
  const PAUSE = 1500, LONGEST = 8000, AGAIN = 15000;
  const KEEPALIVE_LIMIT = 60000; // browsers refuse more than 64 kB after the page has gone

  // ---- the words in the save bar
  const bar = form.querySelector(".save-state");
  let label = form.querySelector("[data-saved]");
  const say = (text, bad) => {
    if (!label) {
      label = document.createElement("span");
      label.dataset.saved = "";
      bar.append(label);
    }
    label.hidden = false;
    label.classList.toggle("tone-bad", Boolean(bad));
    label.textContent = text;
  };

  // ---- saving the draft: one request at a time
  const content = () => {
    const data = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (typeof value === "string") data.append(name, value);
    return data;
  };
  const answers = () => { const data = content(); data.delete("csrfmiddlewaretoken"); return data.toString(); };
  const token = () => form.elements.csrfmiddlewaretoken.value;
  // The page that answers a post holds answers of which nobody knows whether they are kept.
  let kept = "posted" in form.dataset ? "" : answers();
  let running = null, timer = 0, firstChange = 0, stopped = false, leaving = false, declined = false;

  const send = (keepalive) => {
    const body = answers();
    const size = new TextEncoder().encode(body).length;
    return fetch(form.dataset.draftUrl, {
      method: "POST", body: new URLSearchParams(body), credentials: "same-origin",
      keepalive: Boolean(keepalive) && size < KEEPALIVE_LIMIT,
      headers: { "X-CSRFToken": token(), "X-Requested-With": "XMLHttpRequest", Accept: "application/json" },
    }).then(async (answer) => {
      const said = await answer.json().catch(() => ({}));
      return { status: answer.status, said, body };
    });
  };
  /* Saves now. Answers "saved", "refused" (the server would not have it), "stopped", "out" (not logged in) or "unreachable". */
  const save = async (keepalive) => {
    while (running) await running;
    clearTimeout(timer);
    timer = firstChange = 0;
    const attempt = async () => {
      let result;
      try {
        result = await send(keepalive);
        if (result.status === 403 && await freshToken()) result = await send(keepalive);
      } catch {
        say(form.dataset.msgUnreachable, true);
        timer = setTimeout(() => save(), AGAIN);
        return "unreachable";
      }
      if (result.status === 401) return "out";
      if (result.status === 200 && result.said.label) {
        kept = result.body;
        say(result.said.label);
        if (answers() === kept) form.dispatchEvent(new CustomEvent("draft:saved"));
        else plan();
        return "saved";
      }
      if (result.said.stop) stopped = true;
      say(result.said.error || form.dataset.msgNotKept, true);
      return stopped ? "stopped" : "refused";
    };
    running = attempt();
    try { return await running; } finally { running = null; }
  };
  const saveInTheBackground = async (keepalive) => {
    if (stopped || leaving || answers() === kept) return;
    if (await save(keepalive) !== "out" || keepalive) return;
    if (declined) say(form.dataset.msgLoggedOut, true);
    else declined = !await ask();
  };
  const plan = () => {
    if (stopped) return;
    leaving = false;
    const now = Date.now();
    firstChange ||= now;
    clearTimeout(timer);
    timer = setTimeout(saveInTheBackground, Math.max(0, Math.min(PAUSE, firstChange + LONGEST - now)));
  };
  for (const kind of ["input", "change", "rows:changed"]) form.addEventListener(kind, plan);
  if (!kept) plan();
  form.addEventListener("focusout", () => { if (timer) { clearTimeout(timer); timer = setTimeout(saveInTheBackground, 300); } });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") saveInTheBackground(true); });
  window.addEventListener("pagehide", () => saveInTheBackground(true));
  window.addEventListener("pageshow", () => { leaving = false; });

  // ---- a session that ran out
  const dialog = document.getElementById("renew");
  const login = dialog.querySelector("form");
  const useToken = (fresh) => {
    for (const input of document.querySelectorAll("[name=csrfmiddlewaretoken]")) input.value = fresh;
  };
  const renewal = (options) => fetch(login.action, {
    credentials: "same-origin", cache: "no-store", ...options,
    headers: { "X-Requested-With": "XMLHttpRequest", Accept: "application/json", ...(options || {}).headers },
  });
  /* Gets a token for this page: a log-in in another window makes the old one void. */
  const freshToken = async () => {
    const answer = await renewal();
    const said = await answer.json().catch(() => ({}));
    if (said.token) useToken(said.token);
    return Boolean(said.token);
  };
  let asking = null;
  /* Opens the dialog; true once the person is logged in again. */
  const ask = () => asking ||= new Promise((resolve) => {
    const done = (ok) => { login.removeEventListener("submit", submit); dialog.removeEventListener("close", closed); asking = null; resolve(ok); };
    const closed = () => done(false);
    const fault = (text) => {
      const place = login.querySelector("[data-renew-error]");
      place.hidden = !text;
      place.firstElementChild.textContent = text || "";
    };
    const submit = async (event) => {
      event.preventDefault();
      const button = login.querySelector("button:not([type=button])");
      button.disabled = true;
      try {
        await freshToken();
        const answer = await renewal({ method: "POST", body: new URLSearchParams(new FormData(login)), headers: { "X-CSRFToken": token() } });
        const said = await answer.json().catch(() => ({}));
        if (answer.ok && said.token) {
          useToken(said.token);
          document.dispatchEvent(new CustomEvent("session-renewed"));
          login.reset();
          fault("");
          dialog.removeEventListener("close", closed);
          dialog.close();
          done(true);
          document.dispatchEvent(new CustomEvent("session-renewed"));
          return;
        }
        const errors = said.errors || {};
        if (errors.code) login.querySelector("[data-renew-code]").hidden = false;
        fault(errors.password || errors.code || (answer.status === 429 || answer.status === 403 ? login.dataset.msgLocked : login.dataset.msgFailed));
        login.elements[errors.code && !errors.password ? "code" : "password"].select();
      } catch {
        fault(login.dataset.msgFailed);
      } finally { button.disabled = false; }
    };
    login.addEventListener("submit", submit);
    dialog.addEventListener("close", closed);
    fault("");
    dialog.showModal();
    login.elements.password.focus();
  }).then(async (ok) => { if (ok) await save(); return ok; });

  // From idle.js: the log-in page would lose what is on this one.
  document.addEventListener("session-ended", (event) => { event.preventDefault(); ask(); });

  // ---- "Discard draft" must not be followed by a late draft
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || !event.target.closest("[data-draft-banner]")) return;
    leaving = true;
    clearTimeout(timer);
    form.dispatchEvent(new CustomEvent("draft:saved")); // nothing is unsaved that is wanted
    if (running) { event.preventDefault(); running.finally(() => event.target.submit()); }
  });

  // ---- the session ended while nothing was typed (idle.js): stay on the page and ask
  document.addEventListener("session-ended", async (event) => {
    if (stopped || leaving) return;
    event.preventDefault();
    declined = !await ask();
  });

  // ---- Save: the draft first, then the form. Before form.js, which must not think that the form is sent yet.
  let cleared = false, waiting = false;
  form.addEventListener("submit", async (event) => {
    if (cleared || [...form.elements].some((input) => input.validity && input.validity.badInput)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (waiting) return;
    waiting = true;
    const button = event.submitter;
    let result = await save();
    if (result === "out") result = await ask() ? "saved" : "out";
    waiting = false;
    if (result === "out" || result === "unreachable" || result === "stopped") return;
    cleared = leaving = true;
    clearTimeout(timer);
    form.requestSubmit(button || undefined);
    cleared = false;
  }, { capture: true });
})();
