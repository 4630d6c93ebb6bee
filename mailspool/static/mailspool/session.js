/* A session that ends while a page is open: a dialog asks to sign in again in another tab, and what was typed stays. */
(() => {
  const AGAIN_MS = 2000;
  // Within this time after the server has answered to a session, a form goes without being asked about.
  const TRUSTED_MS = 20000;
  const here = () => document.getElementById("session")?.dataset;
  const words = () => JSON.parse(here().words);
  // What a script has to say, in the language of the page; for those of other files too.
  window.msSay = (name, values = {}) =>
    here() ? words()[name].replace(/%\((\w+)\)s/g, (_, key) => values[key]) : "";
  let trusted = Date.now();
  let timer = 0;

  async function ask() {
    const answer = await fetch(here().url, { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }

  // A new session has a new token: what was sent with the old one would be refused.
  function renew(token) {
    for (const field of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) field.value = token;
    for (const part of document.querySelectorAll("[hx-headers]")) {
      part.setAttribute("hx-headers", JSON.stringify({ ...JSON.parse(part.getAttribute("hx-headers")), "X-CSRFToken": token }));
    }
  }

  function dialog() {
    const found = document.getElementById("session-ended");
    if (found) return found;
    const made = document.createElement("dialog");
    made.id = "session-ended";
    made.className = "ms se-dialog";
    made.setAttribute("aria-labelledby", "session-ended-title");
    made.innerHTML = '<h2 id="session-ended-title"></h2><p></p><div class="foot"></div>';
    made.querySelector("h2").textContent = words().signed_out;
    // It can't be dismissed: nothing on the page works without a session.
    made.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(made);
    return made;
  }

  function fill(text, ...actions) {
    const box = dialog();
    box.querySelector("p").textContent = text;
    box.querySelector(".foot").replaceChildren(...actions);
    if (!box.open) box.showModal();
  }

  function link(text, href, isPrimary) {
    const made = document.createElement("a");
    made.className = `ms-button${isPrimary ? " primary" : ""}`;
    made.textContent = text;
    made.href = href;
    return made;
  }

  function ended() {
    if (!here() || dialog().open) return;
    const again = link(words().sign_in, here().login, true);
    again.target = "_blank";
    fill(words().stays, again);
    window.msSignedOut = true;
    document.dispatchEvent(new CustomEvent("ms-signed-out"));
    clearInterval(timer);
    timer = setInterval(look, AGAIN_MS);
  }

  async function look() {
    const answer = await ask().catch(() => null);
    if (!answer?.user) return;
    clearInterval(timer);
    if (answer.user !== here().user) {
      fill(words().somebody_else.replace("%(name)s", () => answer.name), link(words().reload, location.href, true));
      return;
    }
    renew(answer.token);
    trusted = Date.now();
    window.msSignedOut = false;
    dialog().close();
    window.msRefresh?.();
  }

  document.addEventListener("htmx:responseError", (event) => { if (event.detail.xhr?.status === 401) ended(); });
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) trusted = Date.now(); });
  addEventListener("focus", () => { if (window.msSignedOut) look(); });

  // A form that leaves the page would lose what is in it to the login: the session is asked about before.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const isOurs = here() && form.method === "post" && !form.matches("[hx-post]") && !event.defaultPrevented;
    if (!isOurs || Date.now() - trusted < TRUSTED_MS) return;
    event.preventDefault();
    const submitter = event.submitter;
    ask().then((answer) => (answer.user === here().user ? true : ended()), () => true).then((goes) => {
      if (!goes) return;
      trusted = Date.now();
      form.requestSubmit(submitter);
    });
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (document.querySelector("[data-close-tab]") && window.opener) window.close();
  });
})();
