/* Tells the server which zone this browser is in, keeps "3 min ago" true, and shows exact times instead where they are wanted. */
(() => {
  const KEY = "ms-times-exact";
  const EVERY_MS = 20000;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.split("; ").includes(`zone=${encodeURIComponent(zone)}`)) {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax${secure}`;
  }
  const exact = () => localStorage.getItem(KEY) === "1";

  const words = () => JSON.parse(document.getElementById("session")?.dataset.words || "null");

  // As base/times.py does.
  function span(seconds, [s, min, h, d]) {
    const two = (count, unit, rest, smaller) => (rest ? `${count} ${unit} ${rest} ${smaller}` : `${count} ${unit}`);
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} ${s}`;
    if (whole < 3600) return `${Math.floor(whole / 60)} ${min}`;
    const minutes = Math.round(whole / 60);
    if (minutes < 1440) return two(Math.floor(minutes / 60), h, minutes % 60, min);
    const hours = Math.round(whole / 3600);
    return two(Math.floor(hours / 24), d, hours % 24, h);
  }

  function write() {
    const said = words();
    if (!said) return;
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
      const relative = (seconds > 0 ? said.ahead : said.ago).replace("%(span)s", span(Math.abs(seconds), said.units));
      time.dataset.exact ??= time.title;
      time.title = exact() ? relative : time.dataset.exact;
      const text = exact() ? time.dataset.exact : relative;
      if (time.textContent !== text) time.textContent = text;
    }
    for (const button of document.querySelectorAll("[data-times]")) {
      button.textContent = exact() ? said.show_relative : said.show_exact;
      button.hidden = !document.querySelector("time[data-relative]");
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    write();
    setInterval(() => { if (!document.hidden) write(); }, EVERY_MS);
  });
  document.addEventListener("htmx:afterSettle", write);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-times]")) return;
    localStorage.setItem(KEY, exact() ? "0" : "1");
    write();
  });
})();
