const search = document.querySelector("input[type=search]");
const lines = [...document.querySelectorAll("[data-searched] tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/);
  for (const [row, text] of lines) row.hidden = !words.every((word) => text.includes(word));
  for (const section of document.querySelectorAll("[data-searched]")) {
    section.hidden = !section.querySelector("tbody tr:not([hidden])");
  }
});
