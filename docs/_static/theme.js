// Debian's furo follows the system's dark preference in code blocks only; so the theme "auto" is resolved here for the whole page.
document.addEventListener("DOMContentLoaded", () => {
  if (document.body.dataset.theme === "auto") {
    document.body.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
});
