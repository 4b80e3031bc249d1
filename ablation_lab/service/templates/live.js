"use strict";
// One stream of events: runs are drawn as they come, the words are asked for anew, not too often.
const words = document.getElementById("words"), canvas = document.getElementById("grid");
const OFTEN = 400; // milliseconds between two questions for the words
let first = 0, asked = 0, waiting = null, grid = null, here = 0;

function put(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  const parts = [...made.content.children];
  for (const old of [...words.children]) if (!parts.some((part) => part.id === old.id)) old.remove();
  parts.forEach((part, place) => {
    const old = document.getElementById(part.id);
    if (!old) words.insertBefore(part, words.children[place] || null);
    else if (old.innerHTML !== part.innerHTML) keep(old, part);
  });
}

// What has the focus, is open or is scrolled stays so.
function keep(old, part) {
  const places = [...old.querySelectorAll("button, summary, pre")];
  const focus = places.indexOf(document.activeElement), scroll = old.querySelector("pre")?.scrollTop;
  const open = [...old.querySelectorAll("details[open] > summary")].map((each) => each.textContent);
  old.replaceChildren(...part.childNodes);
  for (const each of old.querySelectorAll("summary")) each.parentElement.open = open.includes(each.textContent);
  if (focus >= 0) [...old.querySelectorAll("button, summary, pre")][focus]?.focus();
  const log = old.querySelector("pre");
  if (log && scroll) log.scrollTop = scroll;
}

async function ask() {
  waiting = null;
  asked = Date.now();
  const answer = await fetch(`${words.dataset.words}?first=${first}`);
  if (answer.ok) put(await answer.text());
}

function soon() {
  waiting ??= setTimeout(() => ask().catch(() => say("the lab does not answer")), Math.max(0, asked + OFTEN - Date.now()));
}

function say(text) { document.getElementById("link").textContent = text; }

async function load() {
  if (!canvas) return;
  const answer = await fetch(canvas.dataset.grid);
  if (!answer.ok) return;
  grid = await answer.json();
  grid.most = Math.max(1, ...grid.cells.map((cell) => cell.runs.length));
  draw();
}

// Cells go down, replicates to the right; many cells stand in columns beside one another.
function shape() {
  const wide = canvas.clientWidth, rows = grid.cells.length, across = grid.most + (grid.most > 1 ? 1 : 0);
  const size = Math.max(2, Math.min(18, Math.floor(Math.sqrt((wide * 420) / (rows * across)))));
  const columns = Math.max(1, Math.min(Math.floor(wide / (size * across)), Math.ceil(rows / 8)));
  return { size, across: size * across, high: Math.ceil(rows / columns) };
}

function draw() {
  if (!grid || !grid.cells.length) return;
  const style = getComputedStyle(document.documentElement), ratio = devicePixelRatio || 1;
  const { size, across, high } = shape(), box = canvas.getContext("2d");
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = high * size * ratio;
  canvas.style.height = `${high * size}px`;
  box.scale(ratio, ratio);
  const colour = (name) => style.getPropertyValue(name).trim(), scheme = matchMedia("(prefers-color-scheme: dark)").matches ? 1 : 0;
  const pick = (name) => { const found = colour(name).match(/#[0-9a-f]+/gi) || ["#888"]; return found[scheme] || found[0]; };
  const values = grid.cells.flatMap((cell) => cell.runs.map((run) => run.value)).filter(Number.isFinite);
  let low = Infinity, top = -Infinity;
  for (const value of values) { low = Math.min(low, value); top = Math.max(top, value); }
  const gap = size > 5 ? 1 : 0, open = pick("--open"), bad = pick("--bad"), ink = pick("--ink");
  grid.cells.forEach((cell, number) => cell.runs.forEach((run, replicate) => {
    const x = Math.floor(number / high) * across + replicate * size, y = (number % high) * size, edge = size - gap;
    const share = top > low ? (run.value - low) / (top - low) : 1;
    box.fillStyle = run.status === "failed" ? bad : run.status === "finished" ? mix(pick("--low"), pick("--high"), share) : open;
    box.fillRect(x, y, edge, edge);
    box.strokeStyle = run.status === "failed" ? open : ink;
    box.beginPath();
    if (run.status === "failed" || (run.status === "finished" && run.rule)) { box.moveTo(x, y + edge); box.lineTo(x + edge, y); }
    if (run.status === "failed") { box.moveTo(x, y); box.lineTo(x + edge, y + edge); }
    box.stroke();
    if (number * grid.most + replicate === here && document.activeElement === canvas) box.strokeRect(x + 0.5, y + 0.5, edge - 1, edge - 1);
  }));
}

function mix(one, other, share) {
  const parts = (text) => [1, 3, 5].map((at) => parseInt((text.length === 4 ? text.replace(/[0-9a-f]/gi, "$&$&") : text).slice(at, at + 2), 16));
  const a = parts(one), b = parts(other), part = Number.isFinite(share) ? share : 0;
  return `rgb(${a.map((value, at) => Math.round(value + part * (b[at] - value))).join(" ")})`;
}

function tell() {
  const cell = grid?.cells[Math.floor(here / grid.most)], run = cell?.runs[here % grid.most];
  if (!cell) return;
  const value = Number.isFinite(run?.value) ? `, ${grid.metric} ${run.value.toPrecision(4)}` : "", rule = run?.rule ? `, not converged: ${run.rule}` : "";
  document.getElementById("here").textContent = `${cell.cell}, replicate ${here % grid.most}: ${run?.status ?? "none"}${value}${rule}`;
  draw();
}

function listen() {
  const stream = new EventSource(words.dataset.events);
  let old = false;
  stream.onopen = () => { say(""); if (old) { load(); soon(); } old = true; };
  stream.onerror = () => say("the lab does not answer; it is asked again");
  for (const kind of ["state", "phase", "work", "log"]) stream.addEventListener(kind, soon);
  stream.addEventListener("plan", () => { load(); soon(); });
  stream.addEventListener("runs", (event) => {
    for (const [number, replicate, status, value, rule] of grid ? JSON.parse(event.data).runs : []) {
      const cell = grid.cells[number];
      if (!cell) return void load();
      cell.runs[replicate] = { status, value, rule };
      grid.most = Math.max(grid.most, replicate + 1);
    }
    requestAnimationFrame(draw);
    soon();
  });
}

// A study is what it declares: with more replicates it is another one, to which all that ran belongs.
async function raise(most) {
  const value = Number(prompt("Replicates of each cell", most));
  if (!value) return;
  const answer = await fetch(`${words.dataset.study}/replicates?value=${value}`, { method: "POST" }), made = await answer.json();
  if (answer.ok) location.href = `/studies/${made.id}`;
  else say(made.detail);
}

words.addEventListener("click", async (event) => {
  const { wish, first: from } = event.target.dataset;
  if (from) { first = Number(from); ask(); }
  if (event.target.dataset.raise) return raise(event.target.dataset.raise);
  if (!wish || (wish === "cancel" && !confirm("Cancel this study? What is finished stays."))) return;
  const answer = await fetch(`${words.dataset.study}/${wish}`, { method: "POST" });
  if (!answer.ok) say((await answer.json()).detail);
  soon();
});
canvas?.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: grid?.most, ArrowUp: -grid?.most }[event.key];
  if (!grid || !step) return;
  event.preventDefault();
  here = Math.max(0, Math.min(grid.cells.length * grid.most - 1, here + step));
  tell();
});
canvas?.addEventListener("pointermove", (event) => {
  if (!grid?.cells.length) return;
  const { size, across, high } = shape(), column = Math.floor(event.offsetX / across);
  const number = column * high + Math.floor(event.offsetY / size), replicate = Math.floor((event.offsetX - column * across) / size);
  if (replicate < grid.most && number < grid.cells.length) { here = number * grid.most + replicate; tell(); }
});
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
async function fill(place) {
  const answer = await fetch(place.dataset.from);
  if (answer.ok) place.innerHTML = await answer.text();
}
document.querySelectorAll("[data-from]").forEach((place) => fill(place).catch(() => {}));
load();
listen();
