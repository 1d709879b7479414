"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const panel = byId("panel"), grid = byId("grid"), tabs = [...document.querySelectorAll("[data-tab]")];

  // Everything is inserted as text: no name is read as markup.
  const make = (tag, kind, ...inside) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    element.append(...inside);
    return element;
  };
  const button = (kind, text, action) => {
    const element = make("button", kind, text);
    element.type = "button";
    element.addEventListener("click", action);
    return element;
  };

  // ---- The data: see page_data in report/html.py
  const FIELDS = 8, MISMATCH = data.statuses.indexOf("mismatch"), UNKNOWN = data.statuses.indexOf("unknown");
  const state = { tab: "", step: data.steps.length - 1, view: "result", find: "", wrong: false, cell: "", open: new Set() };
  const step = () => data.steps[state.step] || { flows: [], texts: {}, differences: [], complete: true };
  const flow = (number) => {
    const [source, destination, port, declared, simulated, observed, status, causes] = step().flows.slice(number * FIELDS, number * FIELDS + FIELDS);
    return { number, source, destination, port, declared, simulated, observed, status, causes };
  };
  const count = () => step().flows.length / FIELDS;
  const isWrong = (one) => one.status === MISMATCH || one.status === UNKNOWN;
  const shownVerdict = (one) => {
    if (state.view !== "result") return one[state.view];
    return one.observed >= 0 ? one.observed : one.simulated >= 0 ? one.simulated : one.declared;
  };
  const word = (verdict) => (verdict < 0 ? "-" : data.verdicts[verdict].toUpperCase());
  const name = (end) => data.ends[end][1], space = (end) => data.ends[end][0];
  const title = (one) => `${name(one.source)} \u2192 ${name(one.destination)} ${data.ports[one.port]}`;
  const tables = (one) => ["declared", "simulated", "observed"].filter((table) => one[table] >= 0).map((table) => `${table} ${word(one[table])}`).join(", ");

  let selected = []; // the flows that the filters leave
  const select = () => {
    const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
    selected = [];
    for (let number = 0; number < count(); number += 1) {
      const one = flow(number);
      if (state.wrong && !isWrong(one)) continue;
      if (words.length) {
        const text = `${title(one)} ${data.statuses[one.status]}`.toLowerCase();
        if (!words.every((part) => text.includes(part))) continue;
      }
      selected.push(one);
    }
    const all = count().toLocaleString("en");
    byId("shown").textContent = selected.length === count() ? `${all} flows` : `${selected.length.toLocaleString("en")} of ${all} flows`;
    if (!step().complete) byId("shown").textContent += "; too many for a page: only differences are shown";
  };

  // ---- Why: the tables, the sentences, and the policies with the lines that decide
  const policyOf = (causes, index) => {
    const policy = data.policies[index], of = causes.filter((cause) => cause[2] === index);
    const box = make("details", "", make("summary", "", `${policy.kind} ${policy.name}`, policy.file ? make("span", "soft", ` ${policy.file}`) : ""));
    if (!policy.lines) return box;
    const on = new Set();
    of.forEach(([, , , path]) => { const [from, to] = policy.blocks[path] || [0, 0]; for (let line = from; line < to; line += 1) on.add(line); });
    const pre = make("pre");
    policy.lines.forEach((text, number) => {
      const line = make("span", on.has(policy.first + number) ? "line on" : "line", text || " ");
      line.dataset.line = policy.first + number;
      pre.append(line);
    });
    box.append(pre);
    box.open = true;
    return box;
  };
  const effects = { isolates: "isolates", allows: "allows it", denies: "denies it", passes: "passes it on", "tier-default": "applies, and no rule of its tier matches" };
  const card = (one) => {
    const box = make("div", isWrong(one) ? "card wrong" : "card");
    box.append(make("p", isWrong(one) ? "bad" : "", make("strong", "", `${data.ports[one.port]}: ${word(shownVerdict(one))}`), ` ${data.heads[one.status]}`), make("p", "soft", tables(one)));
    const causes = one.causes >= 0 ? data.causes[one.causes] : [];
    const sentences = step().texts[one.number] || causes.map(([direction, effect, policy, path]) => `${direction}: ${data.policies[policy].name} ${effects[effect] || effect}${effect === "isolates" ? "" : ` (${path})`}`);
    if (sentences.length) box.append(make("ul", "", ...sentences.map((text) => make("li", "", text))));
    else if (!causes.length) box.append(make("p", "soft", "No policy applies to either end."));
    box.append(...[...new Set(causes.map((cause) => cause[2]))].map((index) => policyOf(causes, index)));
    return box;
  };
  const MOST_CARDS = 60;
  const show = (heading, flows) => {
    const cards = flows.slice(0, MOST_CARDS).map((one) => {
      const several = new Set(flows.map((other) => `${other.source} ${other.destination}`)).size > 1;
      return several ? make("div", "", make("h3", "", button("flow", title(one), () => showFlow(one))), make("p", "soft", `${tables(one)}: ${data.heads[one.status]}`)) : card(one);
    });
    if (flows.length > MOST_CARDS) cards.push(make("p", "soft", `and ${flows.length - MOST_CARDS} more: open the namespaces in the matrix`));
    panel.hidden = false;
    panel.replaceChildren(make("h2", "", heading), ...cards);
    if (!flows.length) panel.append(make("p", "soft", "There is no flow."));
    panel.scrollTop = 0;
    if (window.innerWidth <= 900) panel.scrollIntoView({ block: "start" });
  };
  const showFlow = (one) => {
    state.cell = `${name(one.source)}~${name(one.destination)}`;
    show(`${name(one.source)} \u2192 ${name(one.destination)}`, all().filter((other) => other.source === one.source && other.destination === one.destination).sort((a, b) => isWrong(b) - isWrong(a)));
    remember();
  };
  const all = () => Array.from({ length: count() }, (_, number) => flow(number));

  // ---- Differences: each reason once
  const drawDifferences = () => {
    const items = step().differences.map((one) => {
      const flows = one.flows.map(flow).filter((each) => !state.find || selected.some((other) => other.number === each.number));
      if (!flows.length) return null;
      const list = flows.slice(0, 200).map((each) => make("li", "", button("flow", title(each), () => showFlow(each)), ` ${tables(each)}`));
      if (flows.length > 200) list.push(make("li", "soft", `and ${flows.length - 200} more`));
      return make("div", one.status === UNKNOWN ? "reason unknown" : "reason", make("h3", "", one.summary), make("ul", "", ...list), ...one.reasons.map((text) => make("p", "soft", text)));
    }).filter(Boolean);
    byId("reasons").replaceChildren(...(items.length ? items : [make("p", "good", "Every flow is as expected.")]));
  };

  // ---- The matrix: namespaces that open into their pods
  const order = new Map(); // ends and namespaces in one order everywhere
  data.ends.forEach(([namespace], end) => { if (!order.has(namespace)) order.set(namespace, []); order.get(namespace).push(end); });
  const headings = () => [...order].flatMap(([namespace, ends]) => (state.open.has(namespace) || (ends.length === 1 && name(ends[0]) === namespace) ? ends.map((end) => ({ key: `e${end}`, text: name(end), namespace, end })) : [{ key: `n${namespace}`, text: namespace, namespace, end: null }]));
  const toggle = (namespace) => { if (!state.open.delete(namespace)) state.open.add(namespace); drawMatrix(); remember(); };
  const keyOf = (end) => (state.open.has(space(end)) || (order.get(space(end)).length === 1 && name(end) === space(end)) ? `e${end}` : `n${space(end)}`);
  const marks = { allow: "\u25cf", deny: "\u00d7", unknown: "?", mixed: "\u25d0" };
  let cells = new Map();
  const drawMatrix = () => {
    cells = new Map();
    const used = { from: new Set(), to: new Set() }, keys = data.ends.map((_, end) => keyOf(end));
    selected.forEach((one) => {
      const from = keys[one.source], to = keys[one.destination], key = `${from}~${to}`;
      used.from.add(from); used.to.add(to);
      const cell = cells.get(key) || { kind: null, wrong: false, allowed: 0, flows: [] };
      const verdict = shownVerdict(one), kind = verdict < 0 ? null : data.verdicts[verdict];
      if (kind) cell.kind = cell.kind === null || cell.kind === kind ? kind : "mixed";
      cell.wrong = cell.wrong || (isWrong(one) && state.view !== "declared");
      cell.allowed += kind === "allow";
      cell.flows.push(one);
      cells.set(key, cell);
    });
    const heads = headings(), rows = heads.filter((one) => used.from.has(one.key)), columns = heads.filter((one) => used.to.has(one.key));
    const head = (one) => { const label = button(one.end === null ? "space" : "", one.end === null ? `\u25b8 ${one.text}` : one.text, () => toggle(one.namespace)); label.title = one.end === null ? `open ${one.text}` : `close ${one.namespace}`; label.tabIndex = -1; return label; };
    const top = make("tr", "", make("td"));
    columns.forEach((one) => { const th = make("th", "", head(one)); th.scope = "col"; top.append(th); });
    const body = make("tbody");
    rows.forEach((from) => {
      const th = make("th", "", head(from)), line = make("tr", "", th);
      th.scope = "row";
      columns.forEach((to) => {
        const cell = cells.get(`${from.key}~${to.key}`);
        if (!cell) { line.append(make("td")); return; }
        const td = make("td", `${cell.kind || "none"}${cell.wrong ? " wrong" : ""}`, cell.wrong ? "!" : marks[cell.kind] || "");
        td.style.setProperty("--share", cell.allowed / cell.flows.length);
        td.dataset.cell = `${from.key}~${to.key}`;
        td.title = `${from.text} \u2192 ${to.text}: ${cell.kind || "not in this table"}${cell.wrong ? ", not as expected" : ""}`;
        td.tabIndex = -1;
        line.append(td);
      });
      body.append(line);
    });
    grid.replaceChildren(rows.length ? make("table", "heat", make("thead", "", top), body) : make("p", "soft", "No flow matches the filters."));
    const first = grid.querySelector("td[data-cell]");
    if (first) first.tabIndex = 0;
  };
  const openCell = (td) => {
    const cell = cells.get(td.dataset.cell);
    grid.querySelectorAll("td.chosen").forEach((one) => one.classList.remove("chosen"));
    td.classList.add("chosen");
    const pairs = new Set(cell.flows.map((one) => `${one.source} ${one.destination}`));
    if (pairs.size === 1) { showFlow(cell.flows[0]); return; }
    show(td.title.split(":")[0], [...cell.flows].sort((one, other) => isWrong(other) - isWrong(one)));
  };
  grid.addEventListener("click", (event) => { const td = event.target.closest("td[data-cell]"); if (td) openCell(td); });
  grid.addEventListener("keydown", (event) => {
    const td = event.target.closest("td[data-cell]");
    if (!td) return;
    if (event.key === "Enter" || event.key === " ") { openCell(td); event.preventDefault(); return; }
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if (!dx && !dy) return;
    event.preventDefault();
    let row = td.parentElement, index = td.cellIndex;
    for (;;) {
      if (dy) row = dy > 0 ? row.nextElementSibling : row.previousElementSibling; else index += dx;
      const next = row && row.cells[index];
      if (!next || index < 1) return;
      if (next.dataset.cell) { td.tabIndex = -1; next.tabIndex = 0; next.focus(); return; }
    }
  });

  // ---- All flows, the ones that are not as expected first
  const MOST_LINES = 2000;
  const drawFlows = () => {
    const sorted = [...selected].sort((one, other) => isWrong(other) - isWrong(one));
    const head = make("tr", "", ...["Result", "From", "To", "Port", "Status"].map((text) => make("th", "", text)));
    const lines = sorted.slice(0, MOST_LINES).map((one) => make("tr", "", make("td", isWrong(one) ? "mismatch" : "", word(shownVerdict(one))), make("td", "", button("flow", name(one.source), () => showFlow(one))), make("td", "", name(one.destination)), make("td", "", data.ports[one.port]), make("td", data.statuses[one.status], data.heads[one.status])));
    byId("list").replaceChildren(make("table", "list", make("thead", "", head), make("tbody", "", ...lines)));
    if (sorted.length > MOST_LINES) byId("list").append(make("p", "soft", `and ${sorted.length - MOST_LINES} more: use the filters`));
  };

  // ---- The graph: a box or an arrow filters the flows
  const svg = document.querySelector("#drawing svg");
  if (svg) {
    svg.addEventListener("click", (event) => {
      const node = event.target.closest(".node"), edge = event.target.closest(".edge");
      if (!node && !edge) return;
      if (edge) {
        const [sources, targets, ports] = data.arrows[Number(edge.dataset.edge)];
        const [from, to] = [sources, targets].map((nodes) => new Set(nodes.flatMap((one) => data.nodes[one])));
        const found = all().filter((one) => from.has(name(one.source)) && to.has(name(one.destination)) && ports.includes(data.ports[one.port]));
        show(edge.querySelector("title").textContent, found.sort((one, other) => isWrong(other) - isWrong(one)));
        return;
      }
      const members = new Set(data.nodes[Number(node.dataset.node)]);
      const flows = all().filter((one) => members.has(name(one.source)) || members.has(name(one.destination)));
      show([...members].slice(0, 3).join(", "), flows.sort((one, other) => isWrong(other) - isWrong(one)));
    });
    svg.addEventListener("keydown", (event) => { if (event.key === "Enter") event.target.dispatchEvent(new MouseEvent("click", { bubbles: true })); });
    const size = svg.viewBox.baseVal;
    svg.removeAttribute("height");
    svg.setAttribute("width", "100%");
    svg.style.maxWidth = `${size.width * 1.6}px`;
    svg.style.minWidth = `${Math.min(size.width, 460)}px`;
  }

  // ---- Tabs, filters and links
  const draw = { differences: drawDifferences, matrix: drawMatrix, flows: drawFlows, graph: () => {}, about: () => {} };
  const stale = new Set(Object.keys(draw));
  const showTab = (wanted) => {
    state.tab = draw[wanted] && byId(wanted) ? wanted : step().differences.length ? "differences" : "matrix";
    tabs.forEach((one) => {
      const on = one.dataset.tab === state.tab;
      one.setAttribute("aria-selected", on);
      one.tabIndex = on ? 0 : -1;
      byId(one.dataset.tab).hidden = !on;
    });
    byId("tools").hidden = ["graph", "about"].includes(state.tab); // which show the last step, unfiltered
    if (stale.delete(state.tab)) draw[state.tab]();
  };
  const redraw = () => { Object.keys(draw).forEach((one) => stale.add(one)); select(); showTab(state.tab); };
  let restoring = false;
  const remember = () => {
    if (restoring) return;
    const link = new URLSearchParams();
    link.set("tab", state.tab);
    if (state.step !== data.steps.length - 1) link.set("step", state.step);
    if (state.view !== "result") link.set("view", state.view);
    if (state.find) link.set("find", state.find);
    if (state.wrong) link.set("wrong", "1");
    if (state.cell) link.set("cell", state.cell);
    if (state.open.size) link.set("open", [...state.open].join(","));
    history.replaceState(null, "", `#${link}`);
  };
  const follow = () => { // a link names a tab, filters, and the flow of which the reasons are shown
    const link = new URLSearchParams(location.hash.slice(1));
    restoring = true;
    state.step = Math.min(data.steps.length - 1, Number(link.get("step") ?? data.steps.length - 1));
    state.view = link.get("view") || "result";
    state.find = link.get("find") || "";
    state.wrong = link.get("wrong") === "1";
    state.cell = link.get("cell") || "";
    const few = data.ends.length <= 40 ? [...order.keys()].join(",") : "";
    state.open = new Set((link.get("open") ?? few).split(",").filter((one) => order.has(one)));
    if (byId("step")) byId("step").value = state.step;
    document.querySelectorAll("input[name=view]").forEach((one) => { one.checked = one.value === state.view; });
    byId("find").value = state.find;
    byId("wrong").checked = state.wrong;
    state.tab = link.get("tab") || "";
    redraw();
    const [from, to] = state.cell.split("~");
    const found = to === undefined ? undefined : all().find((one) => name(one.source) === from && name(one.destination) === to);
    if (found) showFlow(found);
    restoring = false;
  };
  tabs.forEach((one) => one.addEventListener("click", () => { panel.hidden = true; state.cell = ""; showTab(one.dataset.tab); remember(); }));
  document.querySelector("nav").addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = tabs[(tabs.indexOf(document.activeElement) + move + tabs.length) % tabs.length];
    showTab(next.dataset.tab); next.focus(); remember();
  });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("tools").addEventListener("input", () => {
    if (byId("step")) state.step = Number(byId("step").value);
    state.view = document.querySelector("input[name=view]:checked").value;
    state.find = byId("find").value.trim();
    state.wrong = byId("wrong").checked;
    redraw(); remember();
  });
  byId("expand").addEventListener("click", () => { state.open = new Set(order.keys()); drawMatrix(); remember(); });
  byId("collapse").addEventListener("click", () => { state.open = new Set(); drawMatrix(); remember(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input[type=search], select")) { byId("find").focus(); event.preventDefault(); }
    if (event.key === "Escape" && event.target === byId("find")) { byId("find").value = ""; state.find = ""; redraw(); remember(); }
  });
  window.addEventListener("beforeprint", () => { Object.keys(draw).forEach((one) => { if (stale.delete(one)) draw[one](); }); });
  window.addEventListener("hashchange", follow);
  const has = (table) => data.steps.some((one) => one.flows.some((value, index) => index % FIELDS === { declared: 3, simulated: 4, observed: 5 }[table] && value >= 0));
  document.querySelectorAll("input[name=view]").forEach((one) => { one.parentElement.hidden = one.value !== "result" && !has(one.value); });
  follow();
})();
