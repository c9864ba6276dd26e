/* What the server says to an answer from other answers of the form: [data-hint-url] with data-hint-from="name name". */
"use strict";
(() => {
  const form = document.querySelector("form[data-crf]");
  if (!form) return;
  for (const field of form.querySelectorAll("[data-hint-url]")) {
    const names = field.dataset.hintFrom.split(" ");
    const line = document.createElement("p");
    line.className = "field-help";
    line.setAttribute("role", "status");
    field.append(line);
    let asked = "";
    const ask = async () => {
      const query = new URLSearchParams();
      for (const name of names) {
        const inputs = [...form.elements].filter((input) => input.name === name && (!/^(radio|checkbox)$/.test(input.type) || input.checked));
        query.set(name, inputs[0]?.value ?? "");
      }
      if (query.toString() === asked) return;
      asked = query.toString();
      try {
        const answer = await fetch(`${field.dataset.hintUrl}?${query}`, { headers: { Accept: "application/json" } });
        const found = answer.ok ? await answer.json() : { text: "" };
        if (query.toString() === asked) line.textContent = found.text;
      } catch { asked = ""; }  // asked again at the next change
    };
    form.addEventListener("change", ask);
    form.addEventListener("input", ask);
    ask();
  }
})();
