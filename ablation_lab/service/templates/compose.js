"use strict";
// The text is the study. A field that changes is sent with it, and the text with the field comes back.
const one = (id) => document.getElementById(id), text = one("text"), api = one("compose").dataset.api;
const PAUSE = 300; // milliseconds without a letter until the text is looked at
let turn = 0, waiting = null;

async function post(path, body, kind) {
  const answer = await fetch(path, { method: "POST", body, headers: { "Content-Type": kind } });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

// Of several answers that are on their way the newest counts.
async function look(change) {
  const mine = ++turn, profile = one("profile")?.value ?? one("compose").dataset.profile;
  one("submit").disabled = true;
  try {
    const made = await post("/compose/form", JSON.stringify({ text: text.value, ...change }), "application/json");
    if (mine !== turn) return;
    if (change) text.value = made.text;
    show(made.form, profile);
    one("said").textContent = "looking …";
    const found = await post(`${api}?validate=true&profile=${encodeURIComponent(chosen())}`, text.value, "application/yaml");
    if (mine !== turn) return;
    one("said").textContent = `${found.cells} cells, ${found.runs} runs`;
    one("plan").textContent = found.plan.join("\n");
    one("submit").disabled = false;
  } catch (error) {
    if (mine !== turn) return;
    one("said").textContent = error.message;
    one("plan").textContent = "";
  }
}

function chosen() { return one("profile")?.value ?? ""; }

// The field that has the focus keeps it, and what is being typed into it.
function show(html, profile) {
  const id = document.activeElement?.id, typed = document.activeElement?.value;
  one("form").innerHTML = html;
  const names = [...one("profile").options].map((each) => each.value);
  if (names.includes(profile)) one("profile").value = profile;
  const again = id && id !== "text" && one("form").querySelector(`[id="${id}"]`);
  if (again) { again.focus(); if (again.dataset.path) again.value = typed; }
}

function later() {
  clearTimeout(waiting);
  waiting = setTimeout(() => look(), PAUSE);
}

one("form").addEventListener("change", ({ target }) => {
  if (target.id === "profile") look();
  else if (target.dataset.path) look({ path: target.dataset.path, value: target.value });
});
one("form").addEventListener("click", ({ target }) => {
  const place = target.dataset.add;
  if (!place) return;
  const name = one(`n-${place}`).value.trim(), value = one(`v-${place}`).value;
  if (name && value) look({ path: `${place}/${name}`, value: place.includes("/") ? value : `{${value}}` });
});
one("form").addEventListener("submit", (event) => event.preventDefault());
text.addEventListener("input", later);
text.addEventListener("drop", async (event) => {
  const [file] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  text.value = await file.text();
  look();
});
one("submit").addEventListener("click", async () => {
  try {
    const made = await post(`${api}?profile=${encodeURIComponent(chosen())}`, text.value, "application/yaml");
    location.href = `/studies/${made.id}`;
  } catch (error) { one("said").textContent = error.message; }
});
look();
