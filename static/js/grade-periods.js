/* Adverse event: the grade of the event follows the worst of its grade periods; a first period takes the start date. */
"use strict";
(() => {
  const form = document.querySelector("form[data-crf]");
  const body = form?.querySelector('[data-rows="periods"] [data-rows-body]');
  if (!body) return;
  const kept = () => [...body.querySelectorAll("[data-row]")].filter((row) => !row.querySelector('input[name$="-DELETE"]:checked'));
  const follow = () => {
    const grades = kept().map((row) => Number(row.querySelector('select[name$="-grade"]')?.value || 0)).filter(Boolean);
    if (!grades.length) return;
    const wanted = form.querySelector(`input[name="grade"][value="${Math.max(...grades)}"]`);
    if (wanted && !wanted.checked && !wanted.disabled) { wanted.checked = true; wanted.dispatchEvent(new Event("change", { bubbles: true })); }
  };
  body.addEventListener("change", (event) => {
    const row = event.target.closest("[data-row]"), onset = form.querySelector('input[name="onset_date"]');
    const from = row?.querySelector('input[name$="-from_date"]');
    if (event.target.name?.endsWith("-grade") && from && !from.value && onset?.value && kept()[0] === row) from.value = onset.value;
    follow();
  });
})();
