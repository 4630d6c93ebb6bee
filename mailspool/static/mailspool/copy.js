// Buttons that copy what their data-copy says; where the browser has no clipboard (no HTTPS), the text is selected.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const shown = button.firstChild, word = shown.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    shown.textContent = window.msSay("copied");
  } catch {
    const code = button.parentElement.querySelector("code");
    if (!code) return;
    getSelection().selectAllChildren(code);
    shown.textContent = window.msSay("press_to_copy");
  }
  setTimeout(() => { shown.textContent = word; }, 2000);
});
