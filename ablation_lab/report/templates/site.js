"use strict";

const all = (selector, place = document) => [...place.querySelectorAll(selector)];

// Contents: every heading of the page, in its order.
const contents = document.querySelector(".contents");
for (const part of all("main > [id], .card")) {
  const head = part.querySelector("h2");
  if (!head) continue;
  const link = Object.assign(document.createElement("a"), { href: `#${part.id}`, textContent: head.textContent });
  contents.firstElementChild.append(document.createElement("li"));
  contents.firstElementChild.lastChild.append(link);
  contents.hidden = false;
}

// Sorting: the headers of the last line are buttons.
for (const table of all("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const sortBy = (head, column) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => {
      const cell = row.cells[column];
      const number = parseFloat(cell.dataset.value ?? cell.textContent);
      return Number.isNaN(number) ? cell.textContent : number;
    };
    const rows = [...table.tBodies[0].rows].sort((first, second) => {
      const [a, b] = [key(first), key(second)];
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      const order = typeof a === "number" ? a - b : a.localeCompare(b);
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  };
  heads.forEach((head, column) => {
    if (!head.textContent) return;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: head.textContent });
    button.addEventListener("click", () => sortBy(head, column));
    head.replaceChildren(button);
  });
}

// Filtering: what holds every word that is typed stays, of a table's rows or of the cards.
for (const field of all(".filter input")) {
  const box = field.closest(".filter").nextElementSibling;
  const shown = field.parentElement.querySelector(".shown");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const parts = all("tbody tr, .card", box);
    for (const part of parts) part.hidden = !words.every(word => part.textContent.toLowerCase().includes(word));
    shown.textContent = words.length ? document.body.dataset.shown.replace("SHOWN", parts.filter(part => !part.hidden).length).replace("ALL", parts.length) : "";
  });
}

// What an address names is opened, also where it lies in something closed; on paper all is open.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", openTarget);
openTarget();

// Dark or light: as the system has it, until somebody chooses.
const root = document.documentElement;
const kept = sessionStorage.getItem("scheme");
if (kept) root.style.colorScheme = kept;
document.querySelector(".scheme").addEventListener("click", () => {
  const dark = (root.style.colorScheme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  root.style.colorScheme = dark ? "light" : "dark";
  sessionStorage.setItem("scheme", root.style.colorScheme);
});
