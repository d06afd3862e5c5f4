"use strict";
(() => {
  const data = JSON.parse(document.getElementById("lens-data").textContent);
  const map = document.getElementById("map");
  const card = document.getElementById("card");
  const hint = card.firstElementChild;
  const strips = Array.from(map.querySelectorAll("svg.layers"), (svg) => {
    const [left, top, width, height, columns, layers] =
      svg.dataset.plot.split(" ").map(Number);
    const first = Number(svg.dataset.first);
    return { svg, left, top, width, height, columns, layers, first };
  });
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  cursor.setAttribute("class", "cursor");
  const last = data.layers - 1;
  let at = null;
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

  function written(hundredths) {
    return hundredths === null ? "∞" : (hundredths / 100).toFixed(2);
  }

  function share(hundredths) {
    return hundredths === 0 ? "<0.01 %" : `${(hundredths / 100).toFixed(2)} %`;
  }

  function top(layer, column) {
    return data.strings[data.top[layer][column]];
  }

  function figures(layer, column) {
    const pairs = [
      ["entropy", `${written(data.entropy[layer][column])} ${data.unit}`],
      ["KL to the last layer", `${written(data.kl[layer][column])} ${data.unit}`],
      ["surprisal", `${written(data.surprisal[layer][column])} ${data.unit}`],
      ["rank", data.rank[layer][column].toLocaleString("en")],
      ["settles at", `layer ${data.settled[column]}`],
    ];
    return element("dl", pairs.map(([name, value]) =>
      element("div", [element("dt", name), element("dd", value)])));
  }

  function column(layer, place) {
    const rows = [];
    for (let other = last; other >= 0; other -= 1) {
      const bar = element("i", "", "bar");
      bar.style.width = `${data.share[other][place] / 100}%`;
      const row = element("li", [element("small", String(other)),
        element("q", edged(top(other, place))), element("div", [bar]),
        element("span", share(data.share[other][place]))]);
      if (other === layer) {
        row.className = "chosen";
        row.setAttribute("aria-current", "true");
      } else if (other >= data.settled[place]) row.className = "same";
      rows.push(row);
    }
    return element("ol", rows, "tops");
  }

  function show(layer, place) {
    const strip = strips.find((one) => place < one.first + one.columns);
    if (!strip || (at && at[0] === layer && at[1] === place)) return;
    at = [layer, place];
    const across = place - strip.first;
    cursor.setAttribute("x", strip.left + across * strip.width);
    cursor.setAttribute("y", strip.top + (last - layer) * strip.height);
    cursor.setAttribute("width", strip.width);
    cursor.setAttribute("height", strip.height);
    strip.svg.append(cursor);
    const name = layer === 0 ? "the embedding"
      : layer === last ? `layer ${layer}, the model itself` : `layer ${layer}`;
    const heading = element("h2", [element("q", edged(data.text[place])),
      element("small", `token ${data.place[place]}, ${name}`)]);
    const close = element("button", "close");
    close.type = "button";
    close.addEventListener("click", clear);
    card.replaceChildren(close, element("div", [heading, figures(layer, place),
      element("p", "What each layer would say here, and how surely:", "hint"),
      column(layer, place)], "token"));
    card.classList.add("open");
  }

  function clear() {
    at = null;
    pinned = false;
    cursor.remove();
    card.classList.remove("open");
    card.replaceChildren(hint);
  }

  function reveal() {
    const box = cursor.getBoundingClientRect();
    const sheet = getComputedStyle(card).position === "fixed" ? card.offsetHeight : 0;
    if (box.top >= 0 && box.bottom <= window.innerHeight - sheet) return;
    cursor.scrollIntoView({ block: sheet ? "start" : "nearest" });
  }

  function cellAt(strip, event) {
    const point = new DOMPoint(event.clientX, event.clientY)
      .matrixTransform(strip.svg.getScreenCTM().inverse());
    const across = Math.floor((point.x - strip.left) / strip.width);
    const down = Math.floor((point.y - strip.top) / strip.height);
    if (across < 0 || across >= strip.columns || down < 0) return null;
    return [last - Math.min(down, last), strip.first + across];
  }

  const end = data.text.length - 1;
  const moves = {
    ArrowLeft: ([layer, place]) => [layer, Math.max(place - 1, 0)],
    ArrowRight: ([layer, place]) => [layer, Math.min(place + 1, end)],
    ArrowUp: ([layer, place]) => [Math.min(layer + 1, last), place],
    ArrowDown: ([layer, place]) => [Math.max(layer - 1, 0), place],
    Home: ([layer]) => [layer, 0],
    End: ([layer]) => [layer, end],
  };

  for (const strip of strips) {
    strip.svg.addEventListener("pointermove", (event) => {
      const cell = pinned || event.pointerType !== "mouse" ? null : cellAt(strip, event);
      if (cell) show(...cell);
    });
    strip.svg.addEventListener("click", (event) => {
      const cell = cellAt(strip, event);
      if (!cell) return;
      pinned = !(pinned && at && at[0] === cell[0] && at[1] === cell[1]);
      show(...cell);
    });
  }
  map.addEventListener("focus", () => {
    if (!at && map.matches(":focus-visible")) show(last, 0);
  });
  map.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(...(at ? move(at) : [last, 0]));
    reveal();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
  });
})();
