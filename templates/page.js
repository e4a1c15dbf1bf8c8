"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const panel = $("#panel");
  const grids = all("figure.grid");
  const buttons = all("figure.grid button");
  const boxes = all("input[name=verdict]");
  const scenario = $("#scenario");
  const component = $("#component");
  const usual = new Map(buttons.map((button) => [button, [button.className, button.textContent, button.getAttribute("aria-label")]]));
  let data = null;
  let opened = null;

  const load = () => (data ??= JSON.parse($("#data").textContent));
  const nameOf = (cell) => [cell.producer, cell.consumer, cell.scenario, cell.fault].filter(Boolean).join("..");

  function node(tag, content = [], attributes = {}) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...[content].flat());
    return made;
  }

  // The state of the page is the fragment of its address.
  const state = () => new URLSearchParams(location.hash.slice(1));

  function setState(changes) {
    const next = state();
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    const text = next.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    show();
  }

  function show() {
    const now = state();
    scenario.value = now.get("scenario") ?? "";
    component.value = now.get("component") ?? "";
    const wanted = new Set((now.get("verdict") ?? "").split(",").filter(Boolean));
    for (const box of boxes) box.checked = wanted.has(box.value);
    for (const grid of grids) grid.hidden = scenario.value !== "" && grid.dataset.scenario !== scenario.value;
    if (component.value) load();
    let shown = 0;
    for (const button of buttons) {
      const [look, word, label] = usual.get(button);
      let verdict = look.slice(2);
      let text = word;
      let said = label;
      if (component.value) {
        const cell = data.cells[button.dataset.at];
        const found = cell.components.find((each) => each.name === component.value);
        verdict = found ? found.verdict : "";
        text = found ? (button.closest(".wide") ? verdict[0] : verdict) : "";
        said = `${cell.producer} to ${cell.consumer}, ${cell.scenario}: ${component.value} ${verdict}`;
      }
      const off = !verdict || (wanted.size > 0 && !wanted.has(verdict));
      const next = `v-${verdict}${off ? " off" : ""}`;
      if (button.className !== next) button.className = next;
      if (button.textContent !== text) button.textContent = text;
      if (button.getAttribute("aria-label") !== said) button.setAttribute("aria-label", said);
      if (!off && !button.closest("figure").hidden) shown += 1;
    }
    $("#shown").textContent = `${shown} of ${buttons.length} cells`;
    keepOneInReach();
    open(now.get("cell"));
  }

  const isShown = (button) => !button.classList.contains("off") && !button.closest("figure").hidden;

  // One cell is in the order of Tab; arrows go to the others.
  function keepOneInReach(wanted) {
    const current = wanted ?? buttons.find((button) => button.tabIndex === 0 && isShown(button)) ?? buttons.find(isShown);
    for (const button of buttons) {
      const index = button === current ? 0 : -1;
      if (button.tabIndex !== index) button.tabIndex = index;
    }
  }

  function move(from, rows, columns) {
    const row = from.closest("tr");
    const lines = [...row.parentElement.rows];
    let y = lines.indexOf(row) + rows;
    let x = from.parentElement.cellIndex + columns;
    while (lines[y]?.cells[x]) {
      const found = $("button", lines[y].cells[x]);
      if (found && isShown(found)) {
        keepOneInReach(found);
        found.focus();
        return;
      }
      y += rows;
      x += columns;
    }
    const place = grids.filter((grid) => !grid.hidden);
    const next = place[place.indexOf(from.closest("figure")) + rows];
    const other = next && all("button", next).filter(isShown);
    if (other?.length) {
      keepOneInReach(other[0]);
      other[0].focus();
    }
  }

  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape" && opened !== null) {
      close();
      event.preventDefault();
    } else if (event.key === "/" && !event.target.closest("input, select")) {
      scenario.focus();
      event.preventDefault();
    } else if (STEPS[event.key] && event.target.closest("figure.grid button")) {
      move(event.target, ...STEPS[event.key]);
      event.preventDefault();
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("figure.grid button");
    if (!button) return;
    keepOneInReach(button);
    setState({ cell: nameOf(load().cells[button.dataset.at]) });
    panel.focus();
  });

  function close() {
    const back = buttons.find((button) => button.hasAttribute("aria-current"));
    setState({ cell: "" });
    back?.focus();
  }

  function open(name) {
    if (name === opened) return;
    for (const button of buttons) button.removeAttribute("aria-current");
    opened = name;
    panel.replaceChildren();
    panel.hidden = name === null;
    if (name === null) return;
    const at = load().cells.findIndex((cell) => nameOf(cell) === name);
    if (at < 0) {
      panel.append(heading(name), node("p", "there is no such cell in this run"));
      return;
    }
    buttons.find((button) => button.dataset.at === String(at))?.setAttribute("aria-current", "true");
    fill(data.cells[at]);
  }

  function heading(text, verdict) {
    const closer = node("button", "close", { type: "button" });
    closer.addEventListener("click", close);
    const title = node("h2", text);
    if (verdict) title.append(" ", node("span", verdict, { class: `chip v-${verdict}` }));
    return node("header", [title, closer]);
  }

  function fill(cell) {
    const arrow = `${cell.producer} \u2192 ${cell.consumer}, ${cell.scenario}${cell.fault ? ` with ${cell.fault}` : ""}`;
    panel.append(heading(arrow, cell.verdict), runAgain(cell.reproduce));
    for (const line of cell.forbidden) panel.append(node("p", `policy: ${line}`, { class: "otherwise" }));
    for (const line of cell.known) panel.append(node("p", `known: ${line}`));
    panel.append(node("h3", "Prediction against observation"), components(cell));
    for (const line of cell.splats) panel.append(node("p", `splat in the log of the ${line}`, { class: "proof otherwise" }));
    evidence(cell.evidence);
    memory(cell.memory);
    const rest = [`${cell.seconds} s`];
    if (cell.joint.length) rest.push(`in one boot with ${cell.joint.join(", ")}`);
    rest.push(...cell.retries.map((why) => `run once more, because the harness had failed: ${why}`));
    panel.append(node("p", rest.join("; "), { class: "hint" }));
    // A log is shown from just above the line that decided.
    for (const line of all("pre", panel).map((log) => $("mark", log)).filter(Boolean)) {
      const log = line.parentElement;
      log.scrollTop = line.offsetTop - log.offsetTop - 3 * line.offsetHeight;
    }
  }

  function runAgain(command) {
    const text = node("pre", command, { tabindex: "0", "aria-label": "command that runs it again" });
    const copy = node("button", "copy", { type: "button" });
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command);
        copy.textContent = "copied";
      } catch {
        getSelection().selectAllChildren(text);
        copy.textContent = "selected";
      }
    });
    return node("div", [text, copy], { class: "run" });
  }

  function components(cell) {
    const head = node("thead", node("tr", ["component", "observed", "predicted", "proof"].map((word) => node("th", word, { scope: "col" }))));
    // Where a machine dies, all components have the same proof: they share a row.
    const groups = new Map();
    for (const each of cell.components) {
      const key = JSON.stringify([each.verdict, each.predicted, each.agrees, each.proof]);
      groups.set(key, [...(groups.get(key) ?? []), each]);
    }
    const rows = [...groups.values()].map((group) => {
      const [first] = group;
      const names = group.map((each) => node("div", each.name));
      const predicted = node("td", first.predicted || "nothing", { "data-of": "predicted" });
      if (first.agrees === false) predicted.className = "otherwise";
      const proof = first.proof.map(([kind, text]) => node("div", `${kind}: ${text}`, { class: "proof" }));
      for (const each of group) {
        const whose = group.length > 1 ? `${each.name} ` : "";
        if (each.versions) proof.push(node("div", `version: ${whose}${each.versions}`, { class: "proof" }));
      }
      return node("tr", [node("th", names, { scope: "row" }), node("td", node("span", first.verdict, { class: `chip v-${first.verdict}` }), { "data-of": "observed" }), predicted, node("td", proof)]);
    });
    return node("table", [head, node("tbody", rows)], { class: "components" });
  }

  function evidence(found) {
    if (!found) {
      panel.append(node("p", "Logs, trees and pictures of this cell are not in this page, which would be too large: khoci report of fewer cells, or khoci show, has them.", { class: "hint" }));
      return;
    }
    for (const line of found.notes) panel.append(node("p", line, { class: "hint" }));
    for (const [name, title] of [["time", "Time"], ["memory", "Guest memory"]]) {
      if (found[name] !== null) panel.append(node("h3", title), node("div", picture(data.texts[found[name]]), { class: "scroll", tabindex: "0", role: "group", "aria-label": title }));
    }
    for (const side of ["consumer", "producer"]) if (found[side]) panel.append(log(side, found[side]));
    const trees = [["before", "Handed over"], ["after", "As the consumer reads it"]].filter(([name]) => found[name] !== null);
    const blocks = trees.map(([name, title]) => node("div", [node("h3", title), node("pre", data.texts[found[name]], { tabindex: "0", "aria-label": title })]));
    if (blocks.length) panel.append(node("div", blocks, { class: "pair" }));
  }

  function picture(text) {
    const parsed = new DOMParser().parseFromString(text, "image/svg+xml");
    return document.importNode(parsed.documentElement, true);
  }

  function log(side, found) {
    const gap = found.gap || { at: -1, size: 0 };
    const last = found.first + found.lines.length + gap.size - 1;
    const marked = new Set(found.marked);
    const lines = found.lines.flatMap((line, place) => [
      place === gap.at ? `[${gap.size} lines are left out]\n` : "",
      marked.has(place) ? node("mark", line || " ") : line,
      "\n",
    ]);
    const title = `Log of the ${side}, lines ${found.first} to ${last} of ${found.total}`;
    return node("div", [node("h3", title), node("pre", lines, { tabindex: "0", "aria-label": title })]);
  }

  function memory(owners) {
    const rows = Object.entries(owners).map(([owner, fates]) => `${owner}: ${Object.entries(fates).map(([fate, size]) => `${size} bytes ${fate}`).join(", ")}`);
    if (rows.length) panel.append(node("h3", "What became of the memory"), node("pre", rows.join("\n"), { tabindex: "0", "aria-label": "what became of the memory" }));
  }

  scenario.addEventListener("change", () => setState({ scenario: scenario.value }));
  component.addEventListener("change", () => setState({ component: component.value }));
  for (const box of boxes) box.addEventListener("change", () => setState({ verdict: boxes.filter((each) => each.checked).map((each) => each.value).join(",") }));
  $("#reset").addEventListener("click", () => setState({ scenario: "", component: "", verdict: "" }));
  $("form.filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", show);

  // A run that is still going: ask now and then whether there is more, and come back to this place.
  const live = document.body.dataset.live;
  if (live) {
    let before = null;
    setInterval(async () => {
      try {
        const now = await (await fetch(live)).text();
        if (before !== null && now !== before) location.reload();
        before = now;
        performance.mark("khoci-asked");
      } catch {
        // the server is gone: the page stays as it is
      }
    }, 2000);
  }

  document.body.classList.add("scripted");
  show();
  performance.mark("khoci-ready");
})();
