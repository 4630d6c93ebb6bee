/* Passkeys: a form with data-passkey asks the server what is to be signed or made, has the browser do it, and is sent. */
(() => {
  const octets = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  /* What browsers of 2025 do themselves by parseRequestOptionsFromJSON and toJSON. */
  function parsed(options) {
    const known = (list) => list && list.map((one) => ({ ...one, id: octets(one.id) }));
    const result = { ...options, challenge: octets(options.challenge) };
    if (options.user) result.user = { ...options.user, id: octets(options.user.id) };
    if (options.excludeCredentials) result.excludeCredentials = known(options.excludeCredentials);
    if (options.allowCredentials) result.allowCredentials = known(options.allowCredentials);
    return result;
  }

  function written(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
      clientExtensionResults: credential.getClientExtensionResults() });
  }

  async function send(form) {
    const problem = form.querySelector("[role=alert]");
    problem.hidden = true;
    try {
      const answer = await fetch(form.dataset.question, { method: "POST", redirect: "manual",
        headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, Accept: "application/json" } });
      if (!answer.ok) {
        /* Somebody has to prove first who sits there, or to log in. */
        location.assign(form.dataset.else || location.href);
        return;
      }
      const publicKey = parsed(await answer.json());
      const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
      form.elements.credential.value = written(credential);
      form.submit();
    } catch (error) {
      problem.textContent = error.name === "InvalidStateError" ? form.dataset.known : form.dataset.unused;
      problem.hidden = false;
    }
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
  }
})();
