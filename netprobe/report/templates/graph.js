"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const svg = document.querySelector("#pane svg"), pane = byId("pane"), panel = byId("panel");
  const nodes = new Map(), edges = [];
  svg.querySelectorAll(".node").forEach((g) => nodes.set(Number(g.dataset.node), g));
  svg.querySelectorAll(".edge").forEach((g) => { edges[Number(g.dataset.edge)] = g; });

  // Everything is inserted as text: no name is read as markup.
  const make = (tag, kind, ...inside) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    element.append(...inside);
    return element;
  };
  const link = (text, action) => {
    const button = make("button", "link", text);
    button.type = "button";
    button.addEventListener("click", action);
    return button;
  };
  const show = (...inside) => { panel.replaceChildren(...inside); panel.scrollTop = 0; };
  const name = (node) => data.nodes[node].name;

  // ---- The data: see page_data in graph/pictures.py
  const columns = { declared: 1, simulated: 2, observed: 3 };
  const verdict = (flow) => (data.view === "result" ? flow[3] || flow[2] || flow[1] : flow[columns[data.view]]);
  const flows = (source, target) => {
    const flat = data.cells[(data.pairs[source] || {})[target]] || [], found = [];
    for (let i = 0; i < flat.length; i += 4) {
      found.push({ flow: data.flows[flat[i]], egress: flat[i + 1], ingress: flat[i + 2], change: flat[i + 3] });
    }
    return found;
  };
  const covers = (anchor, node) => { // an anchor is a node, a namespace, or everyone
    const namespace = data.nodes[node].namespace;
    if (typeof anchor === "number") return anchor === node;
    if (typeof anchor === "string") return namespace === anchor;
    return namespace === null ? anchor.outside : !anchor.excluded.includes(namespace);
  };
  const nodesOf = (anchor) => data.nodes.map((_, node) => node).filter((node) => covers(anchor, node));

  // ---- Why
  const cite = (number) => {
    const [policy, path, place] = data.clauses[number];
    const at = make("span", "", make("code", "", policy));
    if (path) at.append(" ", make("span", "soft", path));
    if (place) at.append(" ", make("span", "soft", `[${place}]`));
    return at;
  };
  const joined = (numbers) => numbers.flatMap((number, i) => (i ? [" and ", cite(number)] : [cite(number)]));
  const side = (direction, number, found, source, target, denied) => {
    if (number < 0) return null;
    const [isolating, allowing, denying] = data.sides[number];
    const subject = name(direction === "egress" ? source : target);
    const other = name(direction === "egress" ? target : source);
    const toward = direction === "egress" ? "to" : "from";
    const item = make("li", "", `${direction}: `);
    if (denying.length) {
      item.append(...joined(denying), denying.length > 1 ? " deny it" : " denies it");
    } else if (allowing.length) {
      if (denied) return null;
      item.append(...joined(allowing), allowing.length > 1 ? " allow it" : " allows it");
    } else if (isolating.length) {
      const verb = isolating.length > 1 ? "isolate" : "isolates";
      item.append(...joined(isolating), ` ${verb} ${subject}, and no rule allows ${found.flow[8]} ${found.flow[7]} ${toward} ${other}`);
    } else {
      if (denied || !found.flow[6]) return null;
      item.append(`no policy isolates ${subject}`);
    }
    return item;
  };
  const card = (found, source, target) => {
    const [port, declared, simulated, observed, differs, note, , number, protocol] = found.flow;
    const words = { allow: "allowed", deny: "denied", unknown: "unknown" };
    const unexpected = differs && data.view !== "declared";
    const box = make("div", unexpected ? "flow unexpected" : "flow");
    box.append(make("p", unexpected ? "verdict bad" : "verdict", `${port}: ${words[verdict(found.flow)] || "not in this table"}`));
    const tables = [["declared", declared], ["policies", simulated], ["observed", observed]].filter(([, v]) => v);
    box.append(make("p", "soft", tables.map(([who, v]) => `${who} ${v}`).join(" · ")));
    if (note) box.append(make("p", "", note));
    if (simulated && simulated !== "unknown" && found.egress >= 0) {
      const denied = simulated === "deny";
      const items = ["egress", "ingress"].map((direction) => side(direction, found[direction], found, source, target, denied)).filter(Boolean);
      if (!items.length && !denied && !note) items.push(make("li", "", "no policy isolates either end"));
      if (items.length) box.append(make("ul", "", ...items));
    } else if (simulated && !note) {
      box.append(make("p", "soft", "The reason is not in this page; run netprobe explain."));
    }
    if (found.change >= 0) box.append(make("p", "change", data.changes[found.change]));
    else if (simulated && simulated !== "unknown") {
      const from = data.nodes[source].members[0], others = data.nodes[target].members;
      const to = source === target && others.length > 1 ? others[1] : others[0];
      box.append(make("p", "soft", `To see what would change it: netprobe explain ${from} ${to} --port ${number}/${protocol.toLowerCase()} \u2026`));
    }
    return box;
  };

  // ---- What is selected
  const mark = (chosen, on, arrows) => {
    svg.classList.toggle("chosen", on.size > 0);
    nodes.forEach((g, node) => { g.classList.toggle("on", on.has(node)); g.classList.toggle("chosen", chosen.has(node)); });
    edges.forEach((g, edge) => g.classList.toggle("on", arrows.has(edge)));
  };
  const reveal = (...chosen) => chosen.forEach((node) => nodes.get(node).scrollIntoView({ block: "nearest", inline: "nearest" }));
  const clear = () => {
    mark(new Set(), new Set(), new Set());
    byId("from").value = byId("to").value = "";
    show(make("h2", "", "Why?"), make("p", "soft", "Click an arrow or a box, or select two ends above, to see which policies decide. Arrow keys move between boxes, Enter selects, Escape clears, + and \u2212 zoom."),
      ...unexpectedList());
  };
  const arrowText = (number) => edges[number].querySelector("title").textContent; // what the arrow is called
  const unexpectedList = () => {
    const unexpected = data.edges.map((_, number) => number).filter((number) => edges[number].classList.contains("unexpected"));
    if (!unexpected.length) return [];
    return [make("h3", "bad", "Not as expected"), make("ul", "", ...unexpected.map((number) => make("li", "", link(arrowText(number), () => chooseEdge(number)))))];
  };
  const choosePair = (source, target) => {
    byId("from").value = source; byId("to").value = target;
    const arrows = new Set(data.edges.flatMap((edge, number) => (covers(edge.source, source) && covers(edge.target, target) ? [number] : [])));
    mark(new Set([source, target]), new Set([source, target]), arrows);
    const [from, to] = [source, target].map((node) => encodeURIComponent(data.nodes[node].members[0]));
    history.replaceState(null, "", `#from=${from}&to=${to}`);
    reveal(target, source);
    const found = flows(source, target);
    const cards = found.map((flow) => card(flow, source, target));
    if (!cards.length) cards.push(make("p", "soft", "There is no flow between them: the destination declares no port, or the suite declares nothing."));
    show(make("h2", "", `${name(source)} \u2192 ${name(target)}`), ...cards,
      make("p", "", link("the opposite direction", () => choosePair(target, source))));
  };
  const chooseEdge = (number) => {
    const edge = data.edges[number];
    if (typeof edge.source === "number" && typeof edge.target === "number") return choosePair(edge.source, edge.target);
    const sources = nodesOf(edge.source), targets = nodesOf(edge.target);
    mark(new Set(), new Set([...sources, ...targets]), new Set([number]));
    const pairs = sources.flatMap((s) => targets.filter((t) => t !== s && flows(s, t).length).map((t) => [s, t]));
    const list = pairs.slice(0, 300).map(([s, t]) => make("li", "", link(`${name(s)} \u2192 ${name(t)}`, () => choosePair(s, t))));
    show(make("h2", "", arrowText(number)), make("p", "soft", "This arrow combines these pairs; click one to see why."), make("ul", "", ...list));
  };
  const listed = (title, found, action) => {
    if (!found.size) return [];
    const items = [...found].map(([other, ports]) => make("li", "", link(name(other), () => action(other)), ` ${ports.join(", ")}`));
    return [make("h3", "", `${title} (${found.size})`), make("ul", "", ...items)];
  };
  const chooseNode = (node) => {
    const groups = { out: new Map(), in: new Map(), notOut: new Map(), notIn: new Map() };
    const add = (map, other, port) => { if (!map.has(other)) map.set(other, []); map.get(other).push(port); };
    data.nodes.forEach((_, other) => {
      flows(node, other).forEach(({ flow }) => add(verdict(flow) === "allow" ? groups.out : groups.notOut, other, flow[0]));
      flows(other, node).forEach(({ flow }) => add(verdict(flow) === "allow" ? groups.in : groups.notIn, other, flow[0]));
    });
    const arrows = new Set(data.edges.flatMap((edge, number) => (covers(edge.source, node) || covers(edge.target, node) ? [number] : [])));
    const on = new Set([node, ...groups.out.keys(), ...groups.in.keys()]);
    data.edges.forEach((edge, number) => { if (arrows.has(number)) [edge.source, edge.target].forEach((anchor) => { if (typeof anchor === "number") on.add(anchor); }); });
    mark(new Set([node]), on, arrows);
    reveal(node);
    byId("from").value = node; byId("to").value = "";
    const { members, count } = data.nodes[node], shown = [];
    if (count > 1) {
      const more = count > members.length ? `, and ${count - members.length} more` : "";
      shown.push(make("p", "soft", `${count} pods that behave alike: ${members.join(", ")}${more}`));
    }
    show(make("h2", "", name(node)), ...shown,
      ...listed("reaches", groups.out, (other) => choosePair(node, other)),
      ...listed("is reached by", groups.in, (other) => choosePair(other, node)),
      ...listed("does not reach", groups.notOut, (other) => choosePair(node, other)),
      ...listed("is not reached by", groups.notIn, (other) => choosePair(other, node)));
  };
  const act = (element) => {
    const node = element && element.closest(".node"), edge = element && element.closest(".edge");
    if (node) chooseNode(Number(node.dataset.node));
    else if (edge) chooseEdge(Number(edge.dataset.edge));
    else clear();
  };
  svg.addEventListener("click", (event) => act(event.target));

  // ---- Keyboard: one stop for all boxes, arrow keys between them
  const order = [...nodes.keys()].sort((a, b) => a - b);
  nodes.forEach((g) => g.setAttribute("tabindex", "-1"));
  if (order.length) nodes.get(order[0]).setAttribute("tabindex", "0");
  const middle = (g) => { const b = g.querySelector(".box").getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; };
  const step = (from, [dx, dy]) => {
    const [x, y] = middle(from);
    let best = null, least = Infinity;
    nodes.forEach((g) => {
      const [gx, gy] = middle(g), along = (gx - x) * dx + (gy - y) * dy, across = Math.abs((gx - x) * dy) + Math.abs((gy - y) * dx);
      if (g !== from && along > 2 && along + 2 * across < least) { best = g; least = along + 2 * across; }
    });
    if (!best) return;
    from.setAttribute("tabindex", "-1"); best.setAttribute("tabindex", "0"); best.focus();
  };
  const ways = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { clear(); return; }
    if (event.target.closest("input, select")) return;
    const node = event.target.closest(".node"), edge = event.target.closest(".edge");
    if ((node || edge) && (event.key === "Enter" || event.key === " ")) { act(event.target); event.preventDefault(); }
    else if (node && ways[event.key]) { step(node, ways[event.key]); event.preventDefault(); }
    else if (event.key === "+" || event.key === "=") zoom(scale * 1.2);
    else if (event.key === "-") zoom(scale / 1.2);
    else if (event.key === "0") fit();
  });

  // ---- Tools
  const width = svg.viewBox.baseVal.width, height = svg.viewBox.baseVal.height;
  let scale = 1, zoomed = false; // by hand: then the page keeps it when it gets another size
  const zoom = (wanted, x = 0.5, y = 0.5) => { // the point at this part of the pane stays in place
    const [left, top] = [pane.scrollLeft + pane.clientWidth * x, pane.scrollTop + pane.clientHeight * y];
    const before = scale;
    scale = Math.min(3, Math.max(Math.min(0.2, whole()), wanted));
    svg.setAttribute("width", width * scale); svg.setAttribute("height", height * scale);
    pane.scrollLeft = left * scale / before - pane.clientWidth * x;
    pane.scrollTop = top * scale / before - pane.clientHeight * y;
  };
  const whole = () => Math.min((pane.clientWidth - 4) / width, (pane.clientHeight - 4) / height);
  const fit = () => zoom(Math.min(2.5, whole()));
  const begin = () => { // as wide as the page, unless it could not be read; the first namespace in sight
    zoom(Math.min(2.5, Math.max(whole(), Math.max(0.4, (pane.clientWidth - 4) / width))));
    const frames = [...svg.querySelectorAll("rect.frame")].map((frame) => [frame.x.baseVal.value, frame.y.baseVal.value]);
    const [, top] = frames.reduce((one, other) => (other[0] < one[0] || (other[0] === one[0] && other[1] < one[1]) ? other : one), [width, 0]);
    pane.scrollLeft = 0;
    pane.scrollTop = (top - 20) * scale;
  };
  byId("in").addEventListener("click", () => { zoomed = true; zoom(scale * 1.2); });
  byId("out").addEventListener("click", () => { zoomed = true; zoom(scale / 1.2); });
  window.addEventListener("resize", () => { if (!zoomed) begin(); });
  byId("fit").addEventListener("click", fit);
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("denied").parentElement.hidden = !svg.querySelector(".edge.deny:not(.unexpected)");
  byId("denied").addEventListener("change", (event) => svg.classList.toggle("quiet", !event.target.checked));
  for (const id of ["from", "to"]) {
    byId(id).append(make("option", "", ""), ...order.map((node) => { const option = make("option", "", name(node)); option.value = node; return option; }));
    byId(id).addEventListener("change", () => {
      const [from, to] = [byId("from").value, byId("to").value];
      if (from !== "" && to !== "") choosePair(Number(from), Number(to));
      else if (from !== "" || to !== "") { const id = from !== "" ? from : to; chooseNode(Number(id)); byId("from").value = from; byId("to").value = to; }
      else clear();
    });
  }
  byId("find").addEventListener("input", (event) => {
    const text = event.target.value.trim().toLowerCase();
    if (!text) { clear(); return; }
    const found = order.filter((node) => [name(node), ...data.nodes[node].members].some((one) => one.toLowerCase().includes(text)));
    const arrows = new Set(data.edges.flatMap((edge, number) => (found.some((node) => edge.source === node || edge.target === node) ? [number] : [])));
    mark(new Set(found), new Set(found.length ? found : [-1]), arrows);
    reveal(...found.slice(0, 1));
    show(make("h2", "", `${found.length} found`), make("ul", "", ...found.slice(0, 100).map((node) => make("li", "", link(name(node), () => chooseNode(node))))));
  });

  // ---- A link to a pair: page.html#from=frontend/web&to=backend/api
  const named = new Map(data.nodes.flatMap(({ members }, node) => members.map((one) => [one, node])));
  const linked = () => {
    const ends = new URLSearchParams(location.hash.slice(1));
    const [from, to] = [named.get(ends.get("from")), named.get(ends.get("to"))];
    if (from !== undefined && to !== undefined) choosePair(from, to);
    else if (from !== undefined || to !== undefined) chooseNode(from !== undefined ? from : to);
    else clear();
  };
  window.addEventListener("hashchange", linked);
  begin();
  linked();
})();
