/* On every page. data-autosubmit: a select sends its form on change (its button, data-autosubmit-button, stays for the keyboard).
   data-dialog="id": opens the <dialog id>; data-close: closes the dialog it is in. data-print: prints the page.
   form[data-confirm]: asks the text in a dialog before sending; data-confirm-yes and data-confirm-no are the words on the buttons. */
"use strict";
(() => {
  for (const select of document.querySelectorAll("[data-autosubmit]")) {
    const button = select.form.querySelector("[data-autosubmit-button]");
    if (button) button.hidden = true;
    // Arrow keys change a closed select at every step: a person at the keyboard gets the button instead.
    let byKey = false;
    select.addEventListener("keydown", () => { byKey = true; if (button) button.hidden = false; });
    select.addEventListener("pointerdown", () => { byKey = false; });
    select.addEventListener("change", () => { if (!byKey) select.form.requestSubmit(); });
  }

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog);
      if (dialog) { event.preventDefault(); dialog.showModal(); }
    }
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog").close();
  });

  const ask = (form, submitter) => {
    const dialog = document.createElement("dialog");
    dialog.className = "dialog";
    const text = document.createElement("p");
    text.id = "confirm-text";
    text.textContent = form.dataset.confirm;
    dialog.setAttribute("aria-labelledby", text.id);
    const actions = document.createElement("div");
    actions.className = "dialog-actions";
    const no = document.createElement("button");
    no.type = "button";
    no.className = "btn btn-quiet";
    no.textContent = form.dataset.confirmNo || "×";
    const yes = document.createElement("button");
    yes.type = "button";
    yes.className = "btn btn-primary";
    yes.textContent = form.dataset.confirmYes || (submitter && submitter.textContent.trim()) || "OK";
    actions.append(no, yes);
    dialog.append(text, actions);
    document.body.append(dialog);
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", () => { form.dataset.confirmed = "1"; dialog.close(); form.requestSubmit(submitter || undefined); });
    dialog.addEventListener("close", () => { dialog.remove(); if (submitter && !form.dataset.confirmed) submitter.focus(); });
    dialog.showModal();
    no.focus();
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.confirmed) return;
    event.preventDefault();
    ask(form, event.submitter);
  });
})();
