"use strict";
(() => {
  const data = JSON.parse(document.getElementById("trace-data").textContent);
  const text = document.getElementById("text");
  const card = document.getElementById("card");
  const chart = document.querySelector("svg.chart");
  const marks = Array.from(text.querySelectorAll("mark"));
  const unitOfMark = new Map(marks.map((mark, unit) => [mark, unit]));
  const hint = card.firstElementChild;
  const firstToken = [0];
  const unitOfToken = [];
  data.units.forEach((count, unit) => {
    firstToken.push(firstToken[unit] + count);
    for (let i = 0; i < count; i += 1) unitOfToken.push(unit);
  });
  let shown = -1;
  let pinned = false;

  // Everything enters the page as text, never as markup.
  function element(tag, content, className) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (typeof content === "string") made.textContent = content;
    else if (content) made.append(...content);
    return made;
  }

  // Spaces at the ends would not be seen.
  function edged(string) {
    return string.replace(/^ +| +$/g, (spaces) => "␣".repeat(spaces.length));
  }

  function written(value, decimals) {
    if (value === null) return "–";
    if (typeof value === "string" || decimals === null) return String(value);
    return value.toFixed(decimals);
  }

  function share(hundredths) {
    if (hundredths === null) return "?";
    return hundredths === 0 ? "<0.01 %" : `${(hundredths / 100).toFixed(2)} %`;
  }

  function figures(token) {
    const pairs = data.measures.map((measure) => {
      const value = written(measure.values[token], measure.decimals);
      return [measure.name, value === "–" ? value : `${value} ${measure.unit}`];
    });
    if (data.probability[token] !== null)
      pairs.splice(1, 0, ["probability", String(data.probability[token])]);
    if (data.rank && data.rank[token] !== null)
      pairs.push(["rank", data.rank[token].toLocaleString("en")]);
    if (data.context[token] !== null) {
      const count = data.context[token];
      const what = `${data.noun || "token"}s`;
      pairs.push(["context used", `${count.toLocaleString("en")} ${what}`]);
    }
    return element("dl", pairs.map(([name, value]) =>
      element("div", [element("dt", name), element("dd", value)])));
  }

  function candidates(token) {
    const flat = data.candidates ? data.candidates[token] : [];
    const rows = [];
    for (let i = 0; i < flat.length; i += 2) {
      const bar = element("i", "", "bar");
      bar.style.width = `${(flat[i + 1] || 0) / 100}%`;
      const row = element("li", [element("q", edged(flat[i])),
        element("div", [bar]), element("span", share(flat[i + 1]))]);
      if (data.chosen[token] === i / 2) {
        row.className = "chosen";
        row.setAttribute("aria-current", "true");
      }
      rows.push(row);
    }
    return element("ol", rows);
  }

  function described(token) {
    const part = marks[unitOfToken[token]].parentElement.dataset.part;
    const id = data.id ? `, id ${data.id[token]}` : "";
    const place = `${data.noun || "token"} ${token}${id}, ${part}`;
    const heading = element("h2", [element("q", edged(data.text[token])),
      element("small", place)]);
    if (data.probability[token] === null)
      return element("div", [heading, element("p", "not scored", "hint")], "token");
    return element("div", [heading, figures(token), candidates(token)], "token");
  }

  function clear() {
    if (shown >= 0) marks[shown].classList.remove("on");
    shown = -1;
    pinned = false;
    card.classList.remove("open");
    card.replaceChildren(hint);
    cursor(null);
  }

  function show(unit) {
    if (unit === shown || unit < 0 || unit >= marks.length) return;
    if (shown >= 0) marks[shown].classList.remove("on");
    shown = unit;
    marks[unit].classList.add("on");
    const parts = [];
    for (let token = firstToken[unit]; token < firstToken[unit + 1]; token += 1)
      parts.push(described(token));
    const close = element("button", "close");
    close.type = "button";
    close.addEventListener("click", clear);
    card.replaceChildren(close, ...parts);
    card.classList.add("open");
    cursor(firstToken[unit]);
  }

  function reveal(block) {
    const box = marks[shown].getBoundingClientRect();
    const sheet = getComputedStyle(card).position === "fixed" ? card.offsetHeight : 0;
    if (box.top >= 0 && box.bottom <= window.innerHeight - sheet) return;
    marks[shown].scrollIntoView({ block: sheet ? "start" : block });
  }

  // The chart says where its data is: data-plot, data-x.
  const plot = chart ? chart.dataset.plot.split(" ").map(Number) : null;
  const range = chart ? chart.dataset.x.split(" ").map(Number) : null;
  const line = chart
    ? document.createElementNS("http://www.w3.org/2000/svg", "path") : null;
  if (chart) {
    line.setAttribute("class", "cursor");
    chart.append(line);
  }

  function cursor(token) {
    if (!chart) return;
    const portion = token === null ? -1
      : (token - range[0]) / (range[1] - range[0]);
    if (portion < 0 || portion > 1) {
      line.removeAttribute("d");
      return;
    }
    const x = plot[0] + portion * (plot[2] - plot[0]);
    line.setAttribute("d", `M${x} ${plot[1]}V${plot[3]}`);
  }

  function tokenAt(event) {
    const point = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(chart.getScreenCTM().inverse());
    const portion = (point.x - plot[0]) / (plot[2] - plot[0]);
    const token = Math.round(range[0] + portion * (range[1] - range[0]));
    return Math.min(Math.max(token, Math.ceil(range[0])), Math.floor(range[1]));
  }

  function nearestOn(direction) {
    const here = marks[shown].getClientRects()[0];
    let best = -1;
    let lineTop = null;
    let distance = Infinity;
    for (let i = shown + direction; i >= 0 && i < marks.length; i += direction) {
      const box = marks[i].getClientRects()[0];
      if (!box || Math.abs(box.top - here.top) < here.height / 2) continue;
      if (lineTop === null) lineTop = box.top;
      if (Math.abs(box.top - lineTop) > here.height / 2) break;
      const away = Math.abs(box.left - here.left);
      if (away < distance) [best, distance] = [i, away];
    }
    return best < 0 ? shown : best;
  }

  const moves = {
    ArrowLeft: () => Math.max(shown - 1, 0),
    ArrowRight: () => Math.min(shown + 1, marks.length - 1),
    ArrowUp: () => (shown < 0 ? 0 : nearestOn(-1)),
    ArrowDown: () => (shown < 0 ? 0 : nearestOn(1)),
    Home: () => 0,
    End: () => marks.length - 1,
  };

  text.addEventListener("pointerover", (event) => {
    const mark = event.target.closest("mark");
    if (mark && !pinned && event.pointerType === "mouse") show(unitOfMark.get(mark));
  });
  text.addEventListener("click", (event) => {
    const mark = event.target.closest("mark");
    if (!mark) return;
    pinned = !(pinned && unitOfMark.get(mark) === shown);
    show(unitOfMark.get(mark));
  });
  text.addEventListener("focus", () => {
    if (shown < 0 && text.matches(":focus-visible")) show(0);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
  });
  text.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(move());
    if (shown >= 0) reveal("nearest");
  });
  if (chart) {
    chart.addEventListener("pointermove", (event) => {
      if (!pinned) show(unitOfToken[tokenAt(event)]);
    });
    chart.addEventListener("click", (event) => {
      pinned = true;
      show(unitOfToken[tokenAt(event)]);
      reveal("center");
    });
  }

  // page.html#t12 opens with the card of token 12.
  function fromAddress() {
    const found = /^#t(\d+)$/.exec(location.hash);
    if (!found || Number(found[1]) >= unitOfToken.length) return;
    pinned = true;
    show(unitOfToken[Number(found[1])]);
    reveal("center");
  }
  window.addEventListener("hashchange", fromAddress);
  fromAddress();
})();
