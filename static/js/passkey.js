// Passkeys: hands the server's options to the browser and the browser's answer to the form.
// <form data-passkey="create" or "get" data-options="address"> with a hidden input named credential.
(() => {
  "use strict";
  const bytes = (text) => {
    const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const withBytes = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));

  const make = async (options) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: withBytes(options.excludeCredentials),
      },
    });
    return [made, {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
    }];
  };
  const prove = async (options) => {
    const given = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: bytes(options.challenge),
        allowCredentials: withBytes(options.allowCredentials),
      },
    });
    return [given, {
      clientDataJSON: text(given.response.clientDataJSON),
      authenticatorData: text(given.response.authenticatorData),
      signature: text(given.response.signature),
      userHandle: given.response.userHandle ? text(given.response.userHandle) : null,
    }];
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const fault = form.querySelector("[data-passkey-error]");
      fault.hidden = true;
      try {
        const answer = await fetch(form.dataset.options, { credentials: "same-origin", cache: "no-store" });
        const { publicKey } = await answer.json();
        const [credential, response] = await (form.dataset.passkey === "create" ? make : prove)(publicKey);
        form.elements.namedItem("credential").value = JSON.stringify({
          type: credential.type,
          id: credential.id,
          rawId: text(credential.rawId),
          clientExtensionResults: credential.getClientExtensionResults(),
          response,
        });
        form.submit();
      } catch {
        fault.hidden = false; // refused, timed out, or no passkey on this device
      }
    });
  }
})();
