/* CRF pages: form[data-crf]. Conditional fields (data-show-when), unsaved marker, NRS keys, hints at numbers, section index.
   The server checks everything again; nothing here is needed to save. */
"use strict";
(() => {
  const form = document.querySelector("form[data-crf]");
  if (!form) return;

  // ---- conditional fields: "name=value|value"; a hidden field keeps its value until the server blanks it at save
  const valuesOf = (name) => {
    const inputs = [...form.elements].filter((input) => input.name === name && !input.disabled);
    if (inputs.length === 1 && inputs[0].type === "checkbox") return [inputs[0].checked ? "True" : "False"];
    return inputs.filter((input) => !/^(radio|checkbox)$/.test(input.type) || input.checked).map((input) => input.value);
  };
  const conditionals = [...form.querySelectorAll("[data-show-when]")].map((part) => {
    const at = part.dataset.showWhen.indexOf("=");
    return { part, name: part.dataset.showWhen.slice(0, at), wanted: part.dataset.showWhen.slice(at + 1).split("|") };
  });
  // A section all of whose questions are hidden asks nothing, so its heading goes too.
  const sections = [...form.querySelectorAll(".crf-section:has(.fields > [data-field])")].filter((section) => !section.dataset.showWhen);
  const showHide = () => {
    for (const section of sections) section.hidden = false;
    for (const { part, name, wanted } of conditionals) {
      part.hidden = !valuesOf(name).some((value) => wanted.includes(value));
    }
    // A field that depends on a hidden field is hidden too.
    for (const { part, name } of conditionals) {
      const master = form.querySelector(`[name="${CSS.escape(name)}"]`);
      if (master && master.closest("[hidden]:not(input)")) part.hidden = true;
    }
    for (const section of sections) {
      section.hidden = !section.querySelector(".criteria, .fields > [data-field]:not([hidden])");
      const link = document.querySelector(`[data-index] a[href="#${CSS.escape(section.id)}"]`);
      if (link) link.parentElement.hidden = section.hidden;
    }
  };

  // ---- a reason why there is no answer takes the place of the answer, which is then not sent
  const takePlace = (select) => {
    const field = select.closest("[data-field]"), missing = select.value !== "";
    field.classList.toggle("is-missing", missing);
    for (const input of field.querySelectorAll(`[name="${CSS.escape(select.dataset.missingOf)}"]`)) input.disabled = missing;
  };
  for (const select of form.querySelectorAll("select[data-missing-of]")) {
    // Sent back with an answer and a reason: the person decides which goes.
    if (!select.closest(".field-bad")) takePlace(select);
    select.addEventListener("change", () => takePlace(select));
  }
  showHide();

  // ---- unsaved changes
  const marker = form.querySelector("[data-unsaved]");
  let dirty = false, sending = false;
  const touch = () => {
    if (dirty) return;
    dirty = true;
    if (marker) marker.hidden = false;
    const saved = form.querySelector("[data-saved]");
    if (saved) saved.hidden = true;
  };
  form.addEventListener("input", touch);
  form.addEventListener("change", () => { touch(); showHide(); });
  form.addEventListener("rows:changed", () => { touch(); showHide(); });
  // What is kept as a draft is not lost with the page (drafts.js).
  form.addEventListener("draft:saved", () => { dirty = false; if (marker) marker.hidden = true; });
  window.addEventListener("beforeunload", (event) => { if (dirty && !sending) event.preventDefault(); });
  if (document.querySelector("[data-error-summary]")) touch();

  // ---- a number or date the browser cannot read is sent as nothing: stop, so that what was typed is not lost
  const note = (input, text, kind) => {
    const id = `${input.id}_hint`;
    let hint = document.getElementById(id);
    if (!text) { if (hint) hint.remove(); return; }
    if (!hint) {
      hint = document.createElement("p");
      hint.id = id;
      hint.setAttribute("role", "status");
      (input.closest(".field-line") || input.closest(".input-group") || input).after(hint);
    }
    hint.className = kind;
    hint.textContent = text;
  };
  const fill = (text, input) => text.replace("{min}", input.min || input.getAttribute("min")).replace("{max}", input.max || input.getAttribute("max"));
  const hintFor = (input) => {
    if (!input.matches("input") || !input.id || input.type === "hidden") return;
    const msg = form.dataset;
    if (input.validity.badInput) { note(input, input.type === "number" ? msg.msgBadNumber : msg.msgBadDate, "field-error"); return; }
    const numeric = input.type === "number" || /decimal|numeric/.test(input.inputMode);
    if (!numeric) return;
    const typed = input.value.trim().replace(",", ".");
    const low = input.getAttribute("min"), high = input.getAttribute("max"), number = Number(typed);
    if (typed === "") note(input, "");
    else if (Number.isNaN(number)) note(input, msg.msgBadNumber, "field-hint");
    else if (low && high && (number < +low || number > +high)) note(input, fill(msg.msgRange, input), "field-hint");
    else if (low && number < +low) note(input, fill(msg.msgMin, input), "field-hint");
    else if (high && number > +high) note(input, fill(msg.msgMax, input), "field-hint");
    else note(input, "");
  };
  form.addEventListener("change", (event) => hintFor(event.target));
  form.addEventListener("submit", (event) => {
    const bad = [...form.elements].find((input) => input.validity && input.validity.badInput);
    if (bad) { event.preventDefault(); hintFor(bad); bad.focus(); return; }
    if (!event.defaultPrevented) sending = true;
  });
  window.addEventListener("pageshow", () => { sending = false; });

  // ---- NRS: the radios' own arrow keys, and digits, Home and End; 1 then 0 is ten
  for (const nrs of form.querySelectorAll("[data-nrs]")) {
    const pick = (value) => {
      const radio = [...nrs.querySelectorAll("input")].find((input) => input.value === value);
      if (radio) { radio.focus(); radio.checked = true; radio.dispatchEvent(new Event("change", { bubbles: true })); }
    };
    nrs.addEventListener("keydown", (event) => {
      const ten = event.key === "0" && nrs.querySelector("input:checked")?.value === "1";
      const value = event.key === "Home" ? "0" : event.key === "End" || ten ? "10" : event.key;
      if (/^\d+$/.test(value)) { event.preventDefault(); pick(value); }
    });
  }

  // ---- side index: the section being read
  const links = [...document.querySelectorAll("[data-index] a")];
  const watcher = new IntersectionObserver((entries) => {
    const seen = entries.find((entry) => entry.isIntersecting);
    if (seen) for (const link of links) link.ariaCurrent = link.hash === `#${seen.target.id}` ? "location" : null;
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const section of form.querySelectorAll(".crf-section")) watcher.observe(section);

  // ---- after an error: to the summary; its links go to the first input of a group
  const summary = form.querySelector("[data-error-summary]");
  if (summary) summary.focus();
  form.addEventListener("click", (event) => {
    const link = event.target.closest("[data-error-for]");
    const input = link && form.querySelector(`[name="${CSS.escape(link.dataset.errorFor)}"]:not([type=hidden])`);
    if (input) { event.preventDefault(); input.focus(); input.closest(".field, td, li, div").scrollIntoView({ block: "center" }); }
  });
})();
