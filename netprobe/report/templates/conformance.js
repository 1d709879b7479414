"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const cases = [...document.querySelectorAll("details.case")];
  const find = byId("find"), tools = byId("tools"), shown = byId("shown");

  // Everything that is shown is text: no name is ever read as markup.
  const make = (tag, kind, ...inside) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    element.append(...inside);
    return element;
  };
  const list = (items) => make("ul", "", ...items.map((item) => make("li", "", ...[item].flat())));

  // ---- Matrices
  const words = { ".": "allow", "X": "deny", "?": "unknown", "-": "not tried", " ": "not asked" };
  const kinds = { ".": "allow", "X": "deny", "?": "unknown" };
  const table = (name, matrices, port) => {
    const rows = matrices.ports[port][name], wrong = matrices.ports[port].wrong;
    const grid = make("table", "matrix", make("caption", "", name));
    const head = make("tr", "", make("td"));
    matrices.across.forEach((end) => {
      const cell = make("th", "", end);
      cell.scope = "col";
      head.append(cell);
    });
    grid.append(make("thead", "", head));
    const body = make("tbody");
    matrices.down.forEach((source, y) => {
      const side = make("th", "", source);
      side.scope = "row";
      const line = make("tr", "", side);
      matrices.across.forEach((end, x) => {
        const mark = rows[y][x], bad = "!?".includes(wrong[y][x]) && wrong[y][x] !== " ";
        const cell = make("td", kinds[mark] || "", mark === " " ? "" : mark);
        if (bad) cell.classList.add("wrong");
        if (mark !== " ") cell.title = `${source} → ${end} ${port}: ${words[mark]}${bad ? ", not as expected" : ""}`;
        line.append(cell);
      });
      body.append(line);
    });
    grid.append(body);
    return grid;
  };
  const differing = (matrices, port) =>
    matrices.ports[port].wrong.reduce((sum, row) => sum + [...row].filter((c) => c === "!" || c === "?").length, 0);
  let made = 0;
  const matricesOf = (matrices) => {
    const ports = Object.keys(matrices.ports);
    if (!ports.length) return [];
    const tabs = make("div", "ports"), tables = make("div", "tables");
    const pane = `pane-${made++}`;
    tabs.setAttribute("role", "tablist");
    tabs.setAttribute("aria-label", "Port");
    tables.id = pane;
    tables.setAttribute("role", "tabpanel");
    const choose = (port, focus) => {
      [...tabs.children].forEach((tab) => {
        const chosen = tab.dataset.port === port;
        tab.setAttribute("aria-selected", String(chosen));
        tab.tabIndex = chosen ? 0 : -1;
        if (chosen && focus) tab.focus();
      });
      tables.replaceChildren(...["declared", "simulated", "observed"].map((name) => table(name, matrices, port)));
    };
    ports.forEach((port) => {
      const wrong = differing(matrices, port);
      const tab = make("button", "", port);
      if (wrong) tab.append(" ", make("span", "bad", `${wrong} not as expected`));
      tab.type = "button";
      tab.dataset.port = port;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", pane);
      tab.addEventListener("click", () => choose(port));
      tabs.append(tab);
    });
    tabs.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = ports.indexOf(document.activeElement.dataset.port);
      choose(ports[(at + step + ports.length) % ports.length], true);
      event.preventDefault();
    });
    choose(ports.find((port) => differing(matrices, port)) || ports[0]);
    return [tabs, tables];
  };

  // ---- What a case holds, made when it is opened
  const moment = (one, number, several) => {
    const parts = [];
    const time = one.converged === null ? "" : `in force after ${one.converged.toFixed(3)} s`;
    if (several) parts.push(make("h3", "", `Step ${number + 1}${time ? ", " : ""}${time}`));
    else if (time) parts.push(make("p", "soft", `In${time.slice(2)}`));
    if (one.problem) parts.push(make("p", "problem", one.problem));
    if (one.changes.length) parts.push(list(one.changes));
    if (one.flows.length) {
      parts.push(list(one.flows.map(([flow, why]) => (why.length ? [flow, list(why)] : flow))));
      if (one.more) parts.push(make("p", "soft", `and ${one.more} more flows: the matrices show them`));
    }
    if (one.tries.length) {
      parts.push(make("h3", "", "Tries of flaky flows"));
      parts.push(list(one.tries.map(([from, to, port, seen]) => `${from} → ${to} ${port}: ${seen}`)));
    }
    parts.push(...matricesOf(one.matrices));
    if (one.policies) {
      const block = make("pre", "", one.policies);
      block.tabIndex = 0;
      parts.push(make("h3", "", "Policies"), block);
    }
    return parts;
  };
  const fill = (details) => {
    const body = details.querySelector(".body");
    if (details.dataset.filled) return;
    details.dataset.filled = "yes";
    const one = data.cases[Number(details.dataset.case)];
    const facts = make("dl");
    one.rules.forEach((rule) => {
      const [text, source] = data.rules[rule];
      facts.append(make("dt", "", "rule"), make("dd", "", make("code", "", rule), ` ${text} `, make("span", "soft", `(${source})`)));
    });
    facts.append(make("dt", "", "tags"), make("dd", "", one.tags.join(", ")));
    facts.append(make("dt", "", "written in"), make("dd", "", make("code", "", one.place)));
    if (one.moments.length) facts.append(make("dt", "", "took"), make("dd", "", `${one.seconds.toFixed(2)} s`));
    body.append(facts);
    if (one.standing) body.append(make("p", "", one.standing));
    if (one.reason) body.append(make("p", "", one.reason));
    one.moments.forEach((each, number) => body.append(...moment(each, number, one.moments.length > 1)));
  };
  cases.forEach((details) => {
    if (details.open) fill(details);
    details.addEventListener("toggle", () => details.open && fill(details));
  });

  // ---- Which cases are shown
  const visible = () => cases.filter((details) => !details.hidden);
  const filter = () => {
    const wanted = find.value.trim().toLowerCase().split(/\s+/);
    const off = [...tools.querySelectorAll("input[type=checkbox]")].filter((box) => !box.checked).map((box) => box.name);
    cases.forEach((details) => {
      const text = details.dataset.find;
      details.hidden = off.some((name) => details.classList.contains(name)) || !wanted.every((word) => text.includes(word));
    });
    shown.textContent = `${visible().length} of ${cases.length} cases`;
  };
  tools.addEventListener("input", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());

  // A link to a case (#case-7) opens it; one to a feature (#only=named-ports) shows its cases.
  const follow = () => {
    const hash = decodeURIComponent(location.hash.slice(1));
    if (hash.startsWith("only=")) {
      find.value = hash.slice(5);
      filter();
      byId("cases").scrollIntoView();
      find.focus({ preventScroll: true });
    }
    const target = hash && byId(hash);
    if (target && target.matches("details.case")) {
      target.hidden = false;
      target.open = true;
      fill(target);
      target.scrollIntoView();
      target.querySelector("summary").focus({ preventScroll: true });
    }
  };
  window.addEventListener("hashchange", follow);

  // ---- Keys
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const at = document.activeElement;
    if (event.key === "/" && !at.matches("input")) {
      find.focus();
      event.preventDefault();
    } else if (event.key === "Escape" && at === find) {
      find.value = "";
      filter();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !(at.matches("summary") && at.parentElement.matches(".case") || at === find && step > 0)) return;
    const all = visible(), next = at === find ? all[0] : all[all.indexOf(at.parentElement) + step];
    (next ? next.querySelector("summary") : at).focus();
    event.preventDefault();
  });
  filter();
  follow();
})();
