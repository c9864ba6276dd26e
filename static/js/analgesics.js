/* Grid of analgesics: section[data-analgesics-url]. Shows the unit beside the dose and asks name and route only where the
   drug leaves them open; offers the rows of the visit before; shows the OMED the server counts from what is typed.
   GET answers {drugs: {code: {unit, route, asks_route, asks_name}}, earlier: {rows, button, copied} or null}, POST of the
   grid {text, lines, flags}. Nothing here is needed to save. */
"use strict";
(() => {
  const PAUSE = 250;
  for (const section of document.querySelectorAll("section[data-analgesics-url]")) {
    const form = section.closest("form"), table = section.querySelector("table[data-rows]"), prefix = table.dataset.rows;
    const cell = (row, name) => row.querySelector(`[name^="${prefix}-"][name$="-${name}"]`);
    const rows = () => [...table.querySelectorAll("[data-rows-body] [data-row]")];
    let drugs = {};

    // ---- what the drug of a row settles
    const tell = (row, name, shown, text) => {
      const control = cell(row, name);
      if (!control) return;
      let words = row.querySelector(`[data-settled="${name}"]`);
      if (!words) {
        words = document.createElement("span");
        words.dataset.settled = name;
        words.className = "cell-settled muted";
        control.after(words);
      }
      control.hidden = !shown;
      words.hidden = shown;
      words.textContent = text;
      words.classList.toggle("cell-settled-none", text === "–");
    };
    const settle = (row) => {
      const drug = drugs[cell(row, "drug").value], name = cell(row, "other_name");
      const dose = cell(row, "dose");
      let unit = row.querySelector("[data-unit]");
      if (!unit) {
        unit = document.createElement("span");
        unit.dataset.unit = "";
        unit.className = "cell-unit muted";
        unit.id = `${dose.id}_unit`;
        dose.after(unit);
        dose.setAttribute("aria-describedby", `${dose.getAttribute("aria-describedby") || ""} ${unit.id}`.trim());
      }
      unit.textContent = drug ? drug.unit : "";
      // A name typed for a drug that is not chosen yet, or with an error beside it, stays in sight.
      tell(row, "other_name", Boolean(drug ? drug.asks_name || name.classList.contains("is-invalid") : name.value), "–");
      tell(row, "route", Boolean(drug && (drug.asks_route || cell(row, "route").classList.contains("is-invalid"))), drug ? drug.route : "–");
    };

    // ---- the OMED so far
    const panel = section.querySelector("[data-omed-live]");
    const fill = (list, texts) => list.replaceChildren(...texts.map((text) => { const item = document.createElement("li"); item.textContent = text; return item; }));
    let timer = 0, asked = 0, last = "";
    const count = async () => {
      const body = new URLSearchParams();
      for (const [name, value] of new FormData(form)) if ((name.startsWith(`${prefix}-`) || name === "analgesics") && typeof value === "string") body.append(name, value);
      if (body.toString() === last) return;
      const mine = ++asked;
      last = body.toString();
      try {
        const answer = await fetch(section.dataset.analgesicsUrl, { method: "POST", body, credentials: "same-origin",
          headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, "X-Requested-With": "XMLHttpRequest", Accept: "application/json" } });
        if (mine !== asked) return;
        const said = answer.ok ? await answer.json() : null;
        if (!said) last = "";
        panel.hidden = !said || !(said.text || said.flags.length);
        if (panel.hidden) return;
        const total = panel.querySelector("[data-omed-total]");
        if (total.textContent !== said.text) total.textContent = said.text;
        fill(panel.querySelector("[data-omed-lines]"), said.lines);
        fill(panel.querySelector("[data-omed-flags]"), said.flags);
      } catch { last = ""; panel.hidden = true; }
    };
    const soon = () => { clearTimeout(timer); timer = setTimeout(count, PAUSE); };
    for (const kind of ["input", "change"]) form.addEventListener(kind, (event) => { if (event.target.name === "analgesics" || section.contains(event.target)) soon(); });
    section.addEventListener("rows:changed", soon);

    section.addEventListener("rows:added", (event) => settle(event.target));
    section.addEventListener("change", (event) => { const row = event.target.closest("[data-row]"); if (row && event.target.name?.endsWith("-drug")) settle(row); });
    section.addEventListener("combobox:chosen", (event) => {
      const row = event.target.closest("[data-row]");
      const name = cell(row, "other_name");
      if (event.detail.fill) for (const [field, text] of Object.entries(event.detail.fill)) cell(row, field).value = text;
      else if (name.dataset.typed) name.value = "";
      delete name.dataset.typed;
      settle(row);
      soon();
    });
    section.addEventListener("combobox:left", (event) => {
      // What was typed and is in no list is sent as a name, so that the server asks for the drug and nothing is lost.
      const row = event.target.closest("[data-row]"), name = cell(row, "other_name");
      if (!name.value || name.dataset.typed) { name.value = event.detail.text.slice(0, 80); name.dataset.typed = "1"; }
      settle(row);
      soon();
    });

    // ---- the rows of the visit before, on request
    const empty = (row) => !row.hidden && ["drug", "dose", "times", "other_name"].every((name) => !cell(row, name).value);
    const offer = (earlier) => {
      const button = document.createElement("button"), said = document.createElement("span");
      button.type = "button";
      button.className = "btn btn-quiet";
      button.textContent = earlier.button;
      said.className = "muted small";
      said.setAttribute("role", "status");
      section.querySelector(".rows-foot").append(button, said);
      const show = () => {
        button.hidden = !rows().every((row) => row.hidden || empty(row));
        if (!button.hidden) said.textContent = "";
      };
      button.addEventListener("click", () => {
        const copied = [];
        for (const values of earlier.rows) {
          let row = rows().find(empty);
          if (!row) {
            section.querySelector("[data-add-row]").click();
            row = rows().find(empty);
          }
          if (!row) break;
          cell(row, "drug").dispatchEvent(new CustomEvent("combobox:set", { detail: { value: values.drug, label: values.label } }));
          for (const name of ["dose", "times", "use", "other_name", "route"]) cell(row, name).value = values[name];
          settle(row);
          copied.push(row);
        }
        said.textContent = earlier.copied;
        button.hidden = true;
        table.dispatchEvent(new CustomEvent("rows:changed", { bubbles: true }));
        if (copied.length) cell(copied[0], "dose").select();
      });
      for (const kind of ["input", "change", "rows:changed"]) section.addEventListener(kind, show);
      show();
    };

    soon();
    fetch(section.dataset.analgesicsUrl, { credentials: "same-origin", headers: { Accept: "application/json" } }).then((answer) => (answer.ok ? answer.json() : null)).then((said) => {
      if (!said) return;
      drugs = said.drugs;
      rows().forEach(settle);
      if (said.earlier) offer(said.earlier);
    }).catch(() => {});
  }
})();
