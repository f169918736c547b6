"use strict";
// All that a store holds arrives as text, and stays text: nothing here makes HTML of it.
const token = new URLSearchParams(location.search).get("token") || "";
const words = token ? `token=${encodeURIComponent(token)}` : "";
const main = document.getElementById("main");
const svgSpace = "http://www.w3.org/2000/svg";

function make(name, options = {}, ...contents) {
  const found = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || value === null) continue;
    if (key === "class") found.className = value;
    else if (key === "text") found.textContent = value;
    else if (key in found) found[key] = value;
    else found.setAttribute(key, value);
  }
  found.append(...contents.filter((one) => one !== null && one !== undefined));
  return found;
}

function draw(name, attributes) {
  const found = document.createElementNS(svgSpace, name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  return found;
}

const count = (n) => Number(n).toLocaleString("en-US", { maximumFractionDigits: 0 });
const digits = (n) => (n >= 99.5 ? count(n) : String(Number(n.toPrecision(2))));

function size(n) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 999.5) return `${Number(n.toPrecision(3))} ${unit}`;
    n /= 1000;
  }
  return `${Number(n.toPrecision(3))} TB`;
}

function span(seconds) {
  if (seconds < 0.0995) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  let rest = Math.round(seconds);
  if (rest < 60) return `${rest} s`;
  if (rest < 3600) return `${Math.floor(rest / 60)} min ${String(rest % 60).padStart(2, "0")} s`;
  rest = Math.round(rest / 60);
  if (rest < 1440) return `${Math.floor(rest / 60)} h ${String(rest % 60).padStart(2, "0")} min`;
  return `${count(Math.floor(rest / 1440))} d ${Math.floor((rest % 1440) / 60)} h`;
}

function pace(rate) {
  return rate >= 1 || rate <= 0 ? `${digits(rate)} points/s` : `${span(1 / rate)} a point`;
}

function ago(then) {
  if (!then) return "";
  const seconds = Math.max(0, Date.now() / 1000 - then);
  return seconds < 86400 ? `${span(Math.max(1, Math.round(seconds))).replace(".0", "")} ago` : day(then);
}

function day(then) {
  return new Date(then * 1000).toISOString().slice(0, 16).replace("T", " ");
}

function bar(total, computed, failed) {
  const part = (n, kind) => {
    const one = make("i", { class: kind });
    one.style.width = `${total ? (100 * n) / total : 0}%`;
    return one;
  };
  return make("span", { class: "bar" }, part(computed, "good"), part(failed, "bad"));
}

const stateWords = {
  working: "computing",
  killed: "killed",
  silent: "no sign of life",
  damaged: "damaged",
};

function badge(state) {
  return stateWords[state] ? make("span", { class: `badge ${state}`, text: stateWords[state] }) : null;
}

function card(...contents) {
  return make("section", { class: "card" }, ...contents);
}

function folded(title, about, ...contents) {
  const summary = make("summary", {}, make("b", { text: title }), ` ${about}`);
  return make("details", {}, summary, ...contents);
}

// The catalog ---------------------------------------------------------------------------------

function catalogPage() {
  const rows = new Map();
  const body = make("tbody");
  const rest = make("p", { class: "note" });
  const head = make("tr");
  for (const text of ["function", "grid", "params", "axes", "computed", "failed", "written", ""])
    head.append(make("th", { text }));
  const table = make("table", {}, make("thead", {}, head), body);
  main.replaceChildren(card(make("div", { class: "scroll" }, table), rest));

  function line(row) {
    const url = `/grid/${row.grid}?${words}`;
    const share = row.computed === row.total ? count(row.total) : `${count(row.computed)} of ${count(row.total)}`;
    const cells = [
      make("td", {}, make("a", { href: url, text: row.function })),
      make("td", {}, make("code", { text: row.grid.slice(0, 12) })),
      make("td", { text: row.params, class: "wide" }),
      make("td", { text: row.axes, class: "wide" }),
      make("td", { class: "share" }, bar(row.total, row.computed, row.failed), share),
      make("td", { text: row.failed ? count(row.failed) : "", class: "r bad" }),
      make("td", { class: "when", "data-then": row.written, text: ago(row.written) }),
      make("td", {}, badge(row.state), row.rate ? make("span", { class: "note", text: ` ${pace(row.rate)}` }) : null),
    ];
    return make("tr", {}, ...cells);
  }

  return {
    catalog(data) {
      if (data.is_all) rows.clear();
      for (const grid of data.gone) rows.delete(grid);
      for (const row of data.rows) rows.set(row.grid, row);
      const rank = (row) => (row.state === "working" ? 0 : row.state === "killed" || row.state === "silent" ? 1 : 2);
      const sorted = [...rows.values()].sort((a, b) => rank(a) - rank(b) || b.written - a.written);
      body.replaceChildren(...sorted.map(line));
      const left = data.total - sorted.length;
      rest.textContent = data.total === 0 ? "The store holds no grid yet." : left > 0 ? `and ${count(left)} more` : "";
    },
  };
}

// One grid ------------------------------------------------------------------------------------

function gridPage() {
  let about = null;
  let cells = null;
  let maps = [];
  let numbers = {};
  const title = make("h2");
  const params = make("p");
  const facts = make("p", { class: "facts" });
  const progress = make("div", { class: "progress" });
  const sums = make("dl", { class: "sums" });
  const figures = make("div", { class: "maps" });
  const legend = make("figcaption");
  const note = make("p", { class: "note" });
  const lanes = make("div", { class: "lanes" });
  const lanesNote = make("p", { class: "note" });
  const happened = make("ul", { class: "happened" });
  const failures = make("div", { class: "failures" });
  const failuresHead = make("h3");
  const more = make("div");
  main.replaceChildren(
    card(title, params, facts, progress, sums, make("figure", {}, legend, figures, note)),
    card(make("h3", { text: "Who computed when" }), lanes, lanesNote),
    card(failuresHead, failures),
    card(make("h3", { text: "Events" }), happened),
    card(more),
  );

  function paint(map, first, n) {
    const { nx, ny, image, context, offset } = map;
    for (let i = Math.max(first, offset); i < Math.min(first + n, offset + nx * ny); i++) {
      const at = i - offset;
      const row = ny - 1 - Math.floor(at / nx); // the first value of y is at the bottom
      image.data.set(about.colors[cells[i]], 4 * (row * nx + (at % nx)));
    }
    context.putImageData(image, 0, 0);
  }

  function framed(label, offset) {
    const nx = about.x.n, ny = about.y.n;
    const canvas = make("canvas", { width: nx, height: ny, class: "map" });
    const many = about.facet.labels.length > 1;
    const cell = Math.min(Math.max((many ? 240 : 520) / nx, 1), 30);
    canvas.style.height = `${Math.min(Math.max(Math.round(ny * cell), 24), 420)}px`;
    const context = canvas.getContext("2d");
    const ends = (side, kind) => make("span", { class: kind },
      make("span", { text: side.first }), make("span", { text: side.name }),
      make("span", { text: side.n > 1 ? side.last : "" }));
    const frame = make("div", { class: about.y.name ? "frame" : "frame bare" },
      about.y.name ? ends(about.y, "yaxis") : null, canvas, ends(about.x, "xaxis"));
    const one = { nx, ny, offset, canvas, context, image: context.createImageData(nx, ny) };
    const named = many ? make("p", { class: "facet", text: `${about.facet.name} = ${label}` }) : null;
    figures.append(make("div", {}, named, frame));
    return one;
  }

  function key(text, colors, kind) {
    const squares = colors.map((color) => {
      const square = make("i", { class: kind || "" });
      if (color) square.style.background = `rgb(${color[0]} ${color[1]} ${color[2]} / ${color[3] / 255})`;
      return square;
    });
    return make("span", {}, ...squares, text);
  }

  function fact(name, value, kind) {
    return make("div", { class: kind || "" }, make("dt", { text: name }), make("dd", { text: value }));
  }

  return {
    grid(data) {
      about = data;
      const binary = atob(data.bitmap);
      cells = new Uint8Array(data.facet.labels.length * data.y.n * data.x.n);
      for (let i = 0; i < cells.length; i++) {
        const byte = binary.charCodeAt(i >> 1);
        cells[i] = i & 1 ? byte & 15 : byte >> 4;
      }
      title.replaceChildren(data.function, make("code", { text: data.grid.slice(0, 12) }));
      params.replaceChildren(make("code", { text: data.params === "{}" ? "" : data.params }));
      figures.replaceChildren();
      figures.className = `maps n${Math.min(data.facet.labels.length, 3)}`;
      const each = data.y.n * data.x.n;
      maps = data.facet.labels.map((label, i) => framed(label, i * each));
      for (const map of maps) paint(map, 0, cells.length);
      const colors = data.colors;
      legend.replaceChildren(make("b", { text: "Status" }), key("computed", [colors[4]]),
        key("in part", [colors[1], colors[2], colors[3]]), key("failed", [colors[5]]),
        key("missing", [null], "blank"), key("missing, grid in use", [null], "held"));
      const most = data.cell === 1 ? "1 point" : `up to ${count(data.cell)} points`;
      note.textContent = `a cell is ${most}` + (data.collapsed.length ? `, over all of ${data.collapsed.join(", ")}` : "");
      const axes = Object.entries(data.axes).map(([name, n]) => `${name}: ${count(n)} (${count(data.chunks[name])} per chunk)`);
      more.replaceChildren(folded("About", "", make("p", { text: axes.join(", ") }),
        make("p", {}, "version ", make("code", { text: data.version })),
        make("p", {}, "grid id ", make("code", { text: data.grid }))));
      this.numbers(numbers);
    },
    cells(data) {
      for (const [first, n, state] of data.runs) cells.fill(state, first, first + n);
      for (const map of maps) for (const [first, n] of data.runs) {
        const { nx, ny, image, offset } = map;
        for (let i = Math.max(first, offset); i < Math.min(first + n, offset + nx * ny); i++) {
          const at = i - offset;
          image.data.set(about.colors[cells[i]], 4 * ((ny - 1 - Math.floor(at / nx)) * nx + (at % nx)));
        }
      }
      for (const map of maps) map.context.putImageData(map.image, 0, 0);
    },
    numbers(data) {
      numbers = data;
      if (data.total === undefined) return;
      const missing = Math.max(0, data.total - data.computed - data.failed);
      progress.replaceChildren(bar(data.total, data.computed, data.failed));
      const part = data.total ? Math.floor((1000 * data.computed) / data.total) / 10 : 100;
      const shown = [
        fact("computed", `${part} %`),
        fact("points", `${count(data.computed)} of ${count(data.total)}`),
        fact("missing", count(missing)),
      ];
      if (data.failed) shown.push(fact("failed", count(data.failed), "bad"));
      if (data.rate) shown.push(fact(`pace (${pace(data.rate[1])} to ${pace(data.rate[2])})`, pace(data.rate[0])));
      if (data.left && missing) {
        const band = data.left.length > 1 ? ` (${span(data.left[1])} to ${span(data.left[2])})` : "";
        shown.push(fact(`left${band}`, span(data.left[0])));
      }
      if (data.memory) shown.push(fact("memory", size(data.memory)));
      shown.push(fact("inside the function", span(data.seconds)));
      sums.replaceChildren(...shown);
      const words = {
        working: `held by ${data.holder}`,
        killed: `${data.holder} was killed`,
        silent: `${data.holder} has shown no sign of life for ${data.lease_seconds} s: it was killed, or is cut off`,
        idle: "no process is at work",
      };
      facts.replaceChildren(...[badge(data.state), " ", words[data.state] || ""].filter(Boolean),
        ...(data.written ? [" · last written ", make("span", { class: "when", "data-then": data.written, text: ago(data.written) })] : []));
      for (const map of maps) map.canvas.classList.toggle("held", data.state === "working");
    },
    failures(data) {
      failuresHead.textContent = data.total ? `Failures: ${count(data.total)}` : "No failures";
      const rows = data.rows.map((row) => make("div", { class: "failure" },
        make("p", {}, make("code", { class: "bad", text: row.reason })),
        make("p", { class: "note", text: `at ${row.point}; ${row.time.replace("T", " ")} UTC` + (row.attempt > 1 ? `, attempt ${row.attempt}` : "") }),
        row.traceback ? make("details", {}, make("summary", { text: "traceback" }), make("pre", { text: row.traceback })) : null));
      if (data.is_all) failures.replaceChildren(...rows);
      else failures.prepend(...rows);
      while (failures.children.length > 30) failures.lastChild.remove();
    },
    happened(data) {
      if (data.is_all) happened.replaceChildren();
      for (const row of data.rows) happened.prepend(make("li", {}, make("span", { class: "note", text: `${row.time} UTC ` }), row.text));
      while (happened.children.length > 30) happened.lastChild.remove();
    },
    lanes(data) {
      const shown = [];
      for (const lane of data.lanes) {
        const picture = draw("svg", { viewBox: "0 0 1000 10", preserveAspectRatio: "none" });
        const path = lane.spans.map(([a, b]) => `M${1000 * a} 0h${Math.max(1000 * (b - a), 3)}v10h-${Math.max(1000 * (b - a), 3)}z`).join("");
        picture.append(draw("path", { d: path, fill: lane.color }));
        for (const at of data.cuts) picture.append(draw("line", { x1: 1000 * at, x2: 1000 * at, y1: 0, y2: 10, class: "cut" }));
        shown.push(make("span", { class: "who", text: lane.who }), picture, make("span", { class: "n", text: `${count(lane.points)} points` }));
      }
      lanes.replaceChildren(...shown);
      lanesNote.textContent = data.lanes.length ? `${data.begin} to ${data.end} UTC` + (data.cuts.length ? `, ${data.cuts.length} pauses cut` : "") : "no work yet";
    },
  };
}

// The stream ----------------------------------------------------------------------------------

const grid = main.dataset.grid;
const view = grid ? gridPage() : catalogPage();
const link = document.getElementById("link");
const problem = make("p", { class: "card problem", hidden: true });
main.before(problem);
const query = [grid ? `grid=${encodeURIComponent(grid)}` : "", words].filter(Boolean).join("&");
const source = new EventSource(`/events?${query}`);
for (const name of ["catalog", "grid", "cells", "numbers", "failures", "happened", "lanes"]) {
  source.addEventListener(name, (event) => {
    problem.hidden = true;
    if (view[name]) view[name](JSON.parse(event.data));
  });
}
source.addEventListener("problem", (event) => {
  problem.textContent = JSON.parse(event.data).text;
  problem.hidden = false;
});
source.onopen = () => { link.textContent = "· live"; link.className = "live"; };
source.onerror = () => { link.textContent = "· no connection; trying again"; link.className = "bad"; };
setInterval(() => {
  for (const one of document.querySelectorAll(".when")) one.textContent = ago(Number(one.dataset.then));
}, 5000);
