/* [data-stepper] with one number field: adds a button on either side, whose words are data-less and data-more. */
"use strict";
for (const stepper of document.querySelectorAll("[data-stepper]")) {
  const input = stepper.querySelector("input");
  const button = (sign, word, by) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = sign;
    const label = document.querySelector(`label[for="${input.id}"]`);
    made.setAttribute("aria-label", `${label ? label.innerText.trim() : ""}: ${word}`);
    made.addEventListener("click", () => {
      const now = Number(input.value.replace(",", ".")) || 0;
      input.value = String(Math.min(50, Math.max(0, now + by)));
    });
    return made;
  };
  stepper.prepend(button("−", stepper.dataset.less, -1));
  stepper.append(button("+", stepper.dataset.more, 1));
}
