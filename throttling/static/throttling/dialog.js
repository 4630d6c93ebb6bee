/* Opens the dialog once an action's page has been put into it. */
document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = document.getElementById("confirm");
  if (event.detail.target === dialog && !dialog.open) {
    dialog.showModal();
    dialog.querySelector("input:not([type=hidden])")?.focus();
  }
});
