"use strict";
(() => {
  // Everything enters the page as text, never as markup.
  function element(tag, className, content) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (typeof content === "string") made.textContent = content;
    else if (content) made.append(...content);
    return made;
  }

  function quote(text) {
    const made = element("q", "", text);
    made.dir = "auto";
    return made;
  }

  function count(number) {
    return number.toLocaleString("en");
  }

  function steps(event, moves) {
    const move = moves[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return null;
    event.preventDefault();
    return move();
  }

  function within(value, size) {
    return Math.min(Math.max(value, 0), size - 1);
  }

  // The heat map: a cell is shown by its two samples.
  function heat(section) {
    const data = JSON.parse(section.querySelector("script").textContent);
    const plot = section.querySelector(".plot");
    const svg = plot.querySelector("svg");
    const pair = section.querySelector(".pair");
    const hint = Array.from(pair.childNodes);
    const prefix = section.dataset.prefix;
    const size = data.samples.length;
    const [left, top, cell] = svg.dataset.plot.split(" ").map(Number);
    const bytes = data.values.map((text) => atob(text));
    const marks = ["halo", "point"].map((name) => {
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      mark.setAttribute("class", name);
      mark.setAttribute("width", Math.max(cell, 5));
      mark.setAttribute("height", Math.max(cell, 5));
      return mark;
    });
    let at = null;
    let pinned = false;

    function value(number, row, column) {
      const [low, high] = row < column ? [row, column] : [column, row];
      const place = low * size - (low * (low - 1)) / 2 + high - low;
      return bytes[number].charCodeAt(place) / 100;
    }

    function told(row) {
      const sample = data.samples[row];
      const others = data.counts[row] - 1;
      const more = others ? ` and ${count(others)} more that say just this` : "";
      const head = element("h3", "", `sample ${sample + 1}, ${data.sets[row]}${more}`);
      const listed = document.getElementById(prefix + sample);
      const text = listed ? listed.querySelector("q").textContent : "(not listed)";
      return [head, quote(text)];
    }

    function show(row, column) {
      at = [row, column];
      const chosen = Number(section.querySelector("input:checked").value);
      const values = data.names.map((name, number) => {
        const written = value(number, row, column).toFixed(2);
        const strong = number === chosen ? element("b", "", written) : written;
        return element("span", "", [element("small", "", name), " ", strong]);
      });
      pair.replaceChildren(element("p", "values", values), ...told(row),
        ...(row === column ? [] : told(column)));
      for (const mark of marks) {
        mark.setAttribute("x", left + column * cell - Math.max(0, (5 - cell) / 2));
        mark.setAttribute("y", top + row * cell - Math.max(0, (5 - cell) / 2));
        svg.append(mark);
      }
    }

    function clear() {
      at = null;
      pinned = false;
      pair.replaceChildren(...hint);
      for (const mark of marks) mark.remove();
    }

    function pointed(event) {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const column = Math.floor(((event.clientX - box.left) * scale - left) / cell);
      const row = Math.floor(((event.clientY - box.top) * scale - top) / cell);
      const inside = Math.min(row, column) >= 0 && Math.max(row, column) < size;
      return inside ? [row, column] : null;
    }

    plot.addEventListener("pointermove", (event) => {
      const place = pointed(event);
      if (!place || pinned || (at && place.join() === at.join())) return;
      show(...place);
    });
    plot.addEventListener("click", (event) => {
      const place = pointed(event);
      if (!place) return;
      pinned = !(pinned && at && place.join() === at.join());
      show(...place);
    });
    plot.addEventListener("focus", () => {
      if (!at && plot.matches(":focus-visible")) show(0, Math.min(1, size - 1));
    });
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") clear();
      const [row, column] = at || [0, 0];
      const place = steps(event, {
        ArrowLeft: () => [row, column - 1],
        ArrowRight: () => [row, column + 1],
        ArrowUp: () => [row - 1, column],
        ArrowDown: () => [row + 1, column],
        Home: () => [row, 0],
        End: () => [row, size - 1],
        PageUp: () => [row - 10, column],
        PageDown: () => [row + 10, column],
      });
      if (place) show(within(place[0], size), within(place[1], size));
    });
    for (const button of section.querySelectorAll(":scope>input"))
      button.addEventListener("change", () => { if (at) show(...at); });
  }

  // The list of questions, and the map of them all beside it.
  const PAGE = 25;
  const [PLACE, ID, ASKED, VOTES, KEYS, TEXTS, HIDDEN, INVALID, RIGHT, TIED, CHANCE,
    DETAIL] = Array(12).keys();

  function control(label, made) {
    return element("label", "", [label, made]);
  }

  function choice(options) {
    const made = element("select");
    for (const [value, words] of options) {
      const option = element("option", "", words);
      option.value = value;
      made.append(option);
    }
    return made;
  }

  const KEPT = {
    all: () => true,
    right: (row) => row[RIGHT] === 1,
    wrong: (row) => row[RIGHT] === 0,
    tied: (row) => row[TIED] > 1,
    invalid: (row) => row[INVALID] > 0,
    detail: (row) => row[DETAIL] !== null,
  };

  function samplesOf(row) {
    return row[VOTES].reduce((sum, votes) => sum + votes, 0) + row[HIDDEN][1]
      + row[INVALID];
  }

  function strip(row, most) {
    const made = element("span", "strip");
    const parts = row[VOTES].map((votes, rank) => [votes, Math.min(rank, 3)]);
    parts.push([row[HIDDEN][1], 3], [row[INVALID], 4]);
    for (const [votes, rank] of parts) {
      if (!votes) continue;
      const part = element("i");
      part.style.width = `${(100 * votes) / most}%`;
      part.style.background = `var(--r${rank})`;
      made.append(part);
    }
    return made;
  }

  function opened(row) {
    const total = samplesOf(row);
    const facts = [];
    if (row[TIED] > 1) facts.push(`${row[TIED]} answers are tied for the lead.`);
    if (row[RIGHT] !== null)
      facts.push(`The leading answer is ${row[RIGHT] ? "right" : "wrong"}.`);
    if (row[CHANCE] !== null)
      facts.push(`The calibrator's probability that it is right: ${row[CHANCE]} ` +
        "(its interval is on the question's own page).");
    const items = row[KEYS].map((key, set) => {
      const told = [element("b", "", key)];
      if (row[TEXTS][set]) told.push(quote(row[TEXTS][set]));
      return element("li", "", [
        element("span", "count", `${count(row[VOTES][set])} of ${count(total)}`),
        element("div", "", told)]);
    });
    const [sets, votes] = row[HIDDEN];
    if (sets) facts.push(`Sets not shown: ${count(sets)}, samples ${count(votes)}.`);
    if (row[INVALID]) facts.push(`Samples without an answer: ${count(row[INVALID])}.`);
    const made = element("div", "opened", [
      ...(row[ASKED] ? [element("p", "", [quote(row[ASKED])])] : []),
      element("ol", "", items), element("p", "", facts.join(" "))]);
    if (row[DETAIL] !== null && document.getElementById(`detail-${row[DETAIL]}`)) {
      const link = element("button", "", "Show in full");
      link.addEventListener("click", () => {
        const target = document.getElementById(`detail-${row[DETAIL]}`);
        target.open = true;
        target.scrollIntoView();
        target.querySelector("summary").focus();
      });
      made.append(element("div", "controls", [link]));
    }
    return made;
  }

  function browser(root) {
    const data = JSON.parse(document.getElementById("questions-data").textContent);
    const rows = data.rows;
    const plot = root.querySelector(".overview .plot");
    const list = root.querySelector(".list");
    const search = element("input");
    search.type = "search";
    const kept = choice([["all", "all questions"],
      ...(data.gold ? [["right", "right"], ["wrong", "wrong"]] : []),
      ["tied", "tied for the lead"], ["invalid", "some without an answer"],
      ["detail", "shown in full"]]);
    const order = choice([["0", "surest first"], ["1", "least sure first"],
      ["2", "as given"]]);
    const many = element("span", "many");
    many.setAttribute("role", "status");
    const before = element("button", "", "Previous");
    const after = element("button", "", "Next");
    const chosen = element("ol", "chosen");
    const mark = element("div", "at");
    let wanted = [];
    let first = 0;
    let open = -1;
    let at = 0;

    function matching() {
      const text = search.value.trim().toLowerCase();
      const found = [];
      rows.forEach((row, place) => {
        if (!KEPT[kept.value](row)) return;
        if (text && ![row[ID], row[ASKED], ...row[KEYS]].some((one) =>
          one.toLowerCase().includes(text))) return;
        found.push(place);
      });
      if (order.value === "1") found.reverse();
      if (order.value === "2") found.sort((a, b) => rows[a][PLACE] - rows[b][PLACE]);
      return found;
    }

    function line(place) {
      const row = rows[place];
      const sign = { 1: "✓", 0: "✗" }[row[RIGHT]] || "";
      const named = [row[ID], row[ASKED]].filter(Boolean).join(": ");
      const judged = element("span", row[RIGHT] === 0 ? "bad" : "", sign);
      if (sign) {
        judged.setAttribute("role", "img");
        judged.setAttribute("aria-label", row[RIGHT] ? "right" : "wrong");
      }
      const asked = element("span", "asked", named || `question ${row[PLACE] + 1}`);
      const led = element("span", "led", row[KEYS][0] || "no valid answer");
      asked.dir = led.dir = "auto";
      const votes = `${count(row[VOTES][0] || 0)} of ${count(samplesOf(row))}`;
      const button = element("button", "", [judged, asked,
        strip(row, data.samples), led, element("span", "count", votes)]);
      button.setAttribute("aria-expanded", String(place === open));
      button.addEventListener("click", () => {
        open = place === open ? -1 : place;
        at = place;
        draw();
        const lines = Array.from(chosen.querySelectorAll(":scope>li>button"));
        lines[wanted.indexOf(place) - first].focus();
      });
      const item = element("li", "", [button]);
      if (place === open) item.append(opened(row));
      return item;
    }

    function draw() {
      first = Math.min(first, Math.max(0, PAGE * Math.ceil(wanted.length / PAGE) - PAGE));
      const last = Math.min(first + PAGE, wanted.length);
      chosen.replaceChildren(...wanted.slice(first, last).map(line));
      many.textContent = wanted.length
        ? `${count(first + 1)} to ${count(last)} of ${count(wanted.length)}`
        : "no such question";
      before.disabled = first === 0;
      after.disabled = last >= wanted.length;
      mark.style.top = `${(100 * (at + 0.5)) / rows.length}%`;
    }

    function renew() {
      wanted = matching();
      first = 0;
      open = -1;
      draw();
    }

    function move(by) {
      first = Math.max(0, first + by * PAGE);
      open = -1;
      if (wanted.length) at = wanted[Math.min(first, wanted.length - 1)];
      draw();
    }

    function reach(place, shown) {
      at = within(place, rows.length);
      if (!wanted.includes(at)) {
        search.value = "";
        kept.value = "all";
        wanted = matching();
      }
      first = PAGE * Math.floor(wanted.indexOf(at) / PAGE);
      open = shown ? at : -1;
      draw();
    }

    plot.append(mark);
    plot.addEventListener("click", (event) => {
      const box = plot.getBoundingClientRect();
      reach(Math.floor(((event.clientY - box.top) / box.height) * rows.length), true);
    });
    plot.addEventListener("keydown", (event) => {
      const stride = Math.max(1, Math.round(rows.length / 20));
      const place = steps(event, {
        ArrowUp: () => at - 1,
        ArrowDown: () => at + 1,
        PageUp: () => at - stride,
        PageDown: () => at + stride,
        Home: () => 0,
        End: () => rows.length - 1,
        Enter: () => at,
      });
      if (place !== null) reach(place, true);
    });
    for (const made of [kept, order]) made.addEventListener("change", renew);
    search.addEventListener("input", renew);
    before.addEventListener("click", () => move(-1));
    after.addEventListener("click", () => move(1));
    list.append(
      element("div", "controls", [control("Find", search), control("Show", kept),
        control("Order", order)]),
      element("div", "controls", [many, before, after]), chosen);
    renew();
  }

  for (const section of document.querySelectorAll(".heat")) heat(section);
  for (const root of document.querySelectorAll(".browser")) browser(root);
})();
