/* A panel about the chosen entry: <input data-details-url="/..."> asks url?value=... and shows the HTML it answers under
   the field, after every choice. Inside, <div data-choices-of="grade" data-choices="1|2" data-choices-word="not defined">
   says which values of the field `grade` (or of the column -grade of a grid) may be chosen, and data-choice="1" holds the
   text of one, which is shown beside its button. The server checks the choice again. */
"use strict";
(() => {
  const form = document.querySelector("form[data-crf]");
  const source = form && form.querySelector("input[data-details-url]");
  if (!source) return;
  const field = source.closest("[data-field]");
  const panel = document.createElement("div");
  panel.className = "field field-wide details-panel";
  panel.hidden = true;
  field.after(panel);
  let asked = 0, shown = "";

  const choices = (name) => form.querySelectorAll(`[name="${CSS.escape(name)}"], [name$="-${CSS.escape(name)}"]`);
  const reset = () => {
    for (const added of form.querySelectorAll("[data-from-details]")) added.remove();
    for (const input of form.querySelectorAll("[data-not-offered]")) { input.disabled = false; delete input.dataset.notOffered; }
    for (const row of form.querySelectorAll(".choices-described")) row.classList.remove("choices-described");
  };
  const withhold = (input) => { input.disabled = true; input.dataset.notOffered = ""; };
  const apply = () => {
    reset();
    const offer = panel.querySelector("[data-choices-of]");
    if (!offer) return;
    const offered = offer.dataset.choices.split("|");
    const texts = new Map([...offer.querySelectorAll("[data-choice]")].map((each) => [each.dataset.choice, each.textContent]));
    for (const input of choices(offer.dataset.choicesOf)) {
      if (input.matches("select")) {
        // What is chosen already stays, so that the server can say what is wrong with it.
        for (const option of input.options) if (option.value && !offered.includes(option.value) && !option.selected) withhold(option);
        continue;
      }
      if (input.type !== "radio" || !input.value) continue;
      const missing = !offered.includes(input.value);
      if (missing && !input.checked) withhold(input);
      const words = missing ? offer.dataset.choicesWord : texts.get(input.value);
      const label = form.querySelector(`label[for="${CSS.escape(input.id)}"]`);
      if (!words || !label) continue;
      const text = document.createElement("span");
      text.className = "choice-text";
      text.dataset.fromDetails = "";
      text.textContent = words;
      label.append(" ", text);
      if (texts.size || missing) label.closest(".choices").classList.add("choices-described");
    }
    // The texts stand beside the buttons now; a grid has no room for them, so there they stay in the panel.
    const list = offer.querySelector("dl");
    if (list && form.querySelector("[data-from-details]")) list.hidden = true;
  };
  const show = async () => {
    const value = source.value, mine = ++asked;
    if (value === shown) return;
    shown = value;
    if (!value) { panel.hidden = true; panel.replaceChildren(); reset(); return; }
    try {
      const url = new URL(source.dataset.detailsUrl, location.href);
      url.searchParams.set("value", value);
      const answer = await fetch(url, { credentials: "same-origin" });
      if (mine !== asked) return;
      panel.innerHTML = answer.ok && !answer.redirected ? await answer.text() : "";
    } catch { panel.replaceChildren(); shown = null; }
    panel.hidden = !panel.firstElementChild;
    apply();
  };
  form.addEventListener("change", (event) => { if (event.target === source) show(); });
  document.addEventListener("rows:added", apply);
  show();
})();
