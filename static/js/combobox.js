/* Searchable choice after the ARIA combobox pattern (list, manual selection).
   <select data-combobox>: searches its own options. <input data-search-url="/...">: asks url?q=text, which answers
   {"results": [{"value", "label", "hint"}]}; the input keeps the value and data-search-label is what is shown for it.
   <select data-combobox data-search-url>: asks too, for a list with more names than its options have; a result may hold
   "fill": {field of the row: text}, sent along in the event "combobox:chosen". In a grid Enter chooses and goes on.
   Results with the same "group" stand under that heading. A result with "query" instead of a value searches for that.
   Without script the plain select or input stays. Text that was not chosen from the list goes to the server as typed;
   a select cannot send it and tells it by "combobox:left". "combobox:set" with {value, label} sets it from outside. */
"use strict";
(() => {
  let count = 0;
  const enhance = (source) => {
    if (source.dataset.enhanced) return;
    source.dataset.enhanced = "1";
    const isSelect = source.tagName === "SELECT", remote = "searchUrl" in source.dataset;
    const inGrid = remote && isSelect && source.closest("table[data-rows]");
    const texts = source.closest("form")?.dataset || {};
    const box = document.createElement("div");
    box.className = "combobox";
    const input = document.createElement("input");
    const list = document.createElement("ul");
    list.className = "combobox-list";
    list.id = `combobox-${++count}`;
    list.setAttribute("role", "listbox");
    list.hidden = true;
    input.type = "text";
    input.autocomplete = "off";
    input.className = source.className.replace("form-select", "form-control");
    input.placeholder = source.placeholder || texts.msgMore || "";
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) input.setAttribute(name, value);
    for (const name of ["aria-describedby", "aria-invalid"]) if (source.hasAttribute(name)) input.setAttribute(name, source.getAttribute(name));
    input.required = source.required;
    const label = document.querySelector(`label[for="${CSS.escape(source.id)}"]`);
    input.id = source.id;
    source.id = `${source.id}_value`;
    if (label) list.setAttribute("aria-label", label.textContent.trim());
    input.value = isSelect ? (source.value && source.selectedOptions[0]?.textContent.trim()) || "" : source.dataset.searchLabel || source.value;
    source.before(box);
    box.append(input, list, source);
    if (isSelect) { source.hidden = true; source.tabIndex = -1; } else source.type = "hidden";

    let results = [], items = [], active = -1, timer = 0, asked = 0, chosen = input.value, stale = false;
    let told = source.value;
    const set = (value) => { source.value = value; if (told !== value) { told = value; source.dispatchEvent(new Event("change", { bubbles: true })); } };
    const close = () => { list.hidden = true; active = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); };
    const mark = (index) => {
      active = index;
      items.forEach((item, at) => item.setAttribute("aria-selected", String(at === index)));
      if (index >= 0) { input.setAttribute("aria-activedescendant", items[index].id); items[index].scrollIntoView({ block: "nearest" }); }
      else input.removeAttribute("aria-activedescendant");
    };
    const show = (found) => {
      results = found.slice(0, isSelect ? 50 : 200);
      stale = false;
      items = results.map((result, index) => {
        const item = document.createElement("li");
        item.id = `${list.id}-${index}`;
        item.setAttribute("role", "option");
        item.textContent = result.label;
        if (result.hint) { const hint = document.createElement("small"); hint.textContent = result.hint; item.append(hint); }
        return item;
      });
      list.replaceChildren();
      list.scrollTop = 0;
      let part = list;
      items.forEach((item, index) => {
        const name = results[index].group || "";
        if (name !== (part.dataset?.group || "")) {
          part = name ? document.createElement("ul") : list;
          if (name) {
            part.dataset.group = name;
            part.setAttribute("role", "group");
            part.setAttribute("aria-label", name);
            const heading = document.createElement("li");
            heading.setAttribute("role", "presentation");
            heading.className = "combobox-heading";
            heading.textContent = name;
            part.append(heading);
            list.append(part);
          }
        }
        part.append(item);
      });
      if (!results.length) {
        const none = document.createElement("li");
        none.setAttribute("role", "option");
        none.setAttribute("aria-disabled", "true");
        none.textContent = texts.msgNoMatch || "–";
        list.append(none);
      }
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      mark(inGrid && input.value !== chosen && results.length && !results[0].fill ? 0 : -1);
      list.scrollIntoView({ block: "nearest" });
    };
    const search = async (instead) => {
      const typed = input.value.trim(), mine = ++asked;
      const query = typeof instead === "string" ? instead : input.value === chosen ? "" : inGrid ? typed : typed.toLowerCase();
      if (!remote) { show([...source.options].filter((o) => o.value && o.textContent.toLowerCase().includes(query)).map((o) => ({ value: o.value, label: o.textContent.trim(), hint: o.dataset.hint }))); return; }
      try {
        const url = new URL(source.dataset.searchUrl, location.href);
        url.searchParams.set("q", query);
        const answer = await fetch(url, { headers: { Accept: "application/json" }, credentials: "same-origin" });
        const data = answer.ok ? await answer.json() : { results: [] };
        if (mine === asked && document.activeElement === input) show(data.results);
      } catch { close(); }
    };
    const choose = (result) => {
      if (result.query !== undefined) { search(result.query); return; }
      chosen = input.value = result.label; set(String(result.value)); asked++; close();
      input.removeAttribute("aria-invalid");
      source.dispatchEvent(new CustomEvent("combobox:chosen", { bubbles: true, detail: result }));
    };
    source.addEventListener("combobox:set", (event) => choose(event.detail));

    input.addEventListener("input", () => {
      chosen = "";
      stale = true;
      if (!isSelect) source.value = input.value; else source.value = "";
      clearTimeout(timer);
      timer = setTimeout(search, remote ? 60 : 0);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (list.hidden) { search(); return; }
        if (results.length) mark((active + (event.key === "ArrowDown" ? 1 : active < 0 ? 0 : -1) + results.length) % results.length);
      } else if (event.key === "Enter" && (!list.hidden || (input.value && !chosen))) {
        // A half typed word: Enter belongs to the list and must not send the form.
        const pick = !list.hidden && !stale && (active >= 0 || results.length === 1);
        if (!pick || !inGrid) event.preventDefault(); // else rows.js goes on to the next cell
        if (list.hidden || stale) { clearTimeout(timer); search(); }
        else if (active >= 0 || results.length === 1) choose(results[Math.max(active, 0)]);
      }
      else if (event.key === "Escape" && !list.hidden) { event.preventDefault(); close(); }
    });
    if (inGrid) input.addEventListener("focus", () => input.select()); // typing replaces the drug
    input.addEventListener("click", () => { if (list.hidden) search(); });
    // mousedown, not click: the blur of the input would close the list first
    list.addEventListener("mousedown", (event) => { event.preventDefault(); const result = results[items.indexOf(event.target.closest("li"))]; if (result) choose(result); });
    const leave = () => {
      const text = input.value.trim();
      if (!remote) { input.value = ""; return; }
      if (text) { input.setAttribute("aria-invalid", "true"); source.dispatchEvent(new CustomEvent("combobox:left", { bubbles: true, detail: { text } })); }
      else input.removeAttribute("aria-invalid");
    };
    input.addEventListener("blur", () => {
      clearTimeout(timer); asked++;
      const exact = results.find((result) => result.label.toLowerCase() === input.value.trim().toLowerCase());
      if (!chosen && exact) choose(exact); else { if (isSelect && !source.value) leave(); if (!isSelect && !chosen) set(input.value.trim()); close(); }
    });
  };
  const all = (root) => root.querySelectorAll("select[data-combobox], input[data-search-url]").forEach(enhance);
  all(document);
  document.addEventListener("rows:added", (event) => all(event.target));
})();
