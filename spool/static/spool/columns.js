/* The order of a list's columns: each goes up or down among them; the form sends them as they stand. */
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-move]");
  if (!button) return;
  const item = button.closest("li");
  const other = button.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling;
  if (!other) return;
  button.dataset.move === "up" ? other.before(item) : other.after(item);
  button.focus();
});
