// Draws a chart when it comes near the window, in the colours the style gives it, light or dark.
(() => {
  "use strict";

  const config = {
    responsive: true, displaylogo: false, scrollZoom: false, showSendToCloud: false, plotlyServerURL: "",
    displayModeBar: false, doubleClick: "reset+autosize",
  };
  const touch = matchMedia("(pointer: coarse)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 640px)");
  const boxes = [...document.querySelectorAll(".plot")];
  const drawn = new Set();

  // Replaces var(--name) by what the style says, at any depth.
  function coloured(value, style) {
    if (typeof value === "string") {
      const found = /^var\((--[a-z-]+)\)$/.exec(value);
      return found ? style.getPropertyValue(found[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.some((one) => typeof one === "object") ? value.map((one) => coloured(one, style)) : value;
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, style)]));
  }

  function figureOf(box) {
    const held = JSON.parse(document.getElementById(box.dataset.figure).textContent);
    const style = getComputedStyle(document.documentElement);
    const data = held.data.map((trace) => ({ ...coloured(trace, style), x: held.times[trace.x] }));
    const layout = coloured(held.layout, style);
    if (touch.matches) Object.assign(layout, { dragmode: false, hovermode: "closest" });
    if (narrow.matches) {
      layout.margin = { ...layout.margin, l: 44, r: 8, t: 24, b: 150 };
      layout.legend = { ...layout.legend, y: -0.06, yanchor: "top", font: { size: 10 } };
      for (const key of Object.keys(layout)) if (key.startsWith("yaxis")) layout[key].title = undefined;
    }
    return { data, layout };
  }

  async function draw(box) {
    drawn.add(box);
    try {
      const { data, layout } = figureOf(box);
      await Plotly.react(box, data, layout, config);
      box.dataset.drawn = "yes";
    } catch (error) {
      console.error(error);
      box.textContent = `The chart could not be drawn: ${error.message}. The tables below hold its numbers.`;
      box.dataset.drawn = "no";
    }
  }

  // Charts far from the window are taken away again: fifty of them would be too much for a phone.
  function forget(box) {
    if (drawn.delete(box)) {
      Plotly.purge(box);
      delete box.dataset.drawn;
    }
  }

  const near = new IntersectionObserver(
    (seen) => seen.forEach((one) => (one.isIntersecting ? drawn.has(one.target) || draw(one.target) : forget(one.target))),
    { rootMargin: "1200px 0px" },
  );
  boxes.forEach((box) => near.observe(box));
  for (const query of [dark, narrow]) query.addEventListener("change", () => [...drawn].forEach(draw));

  // Times of the axis are the exchange's, without a zone: read as UTC they can be reckoned with.
  const toMs = (time) => (typeof time === "number" ? time : Date.parse(`${time.replace(" ", "T").slice(0, 23)}Z`));
  const toTime = (ms) => new Date(ms).toISOString().slice(0, 23);

  const moves = {
    in: ([from, to]) => [from + (to - from) / 4, to - (to - from) / 4],
    out: ([from, to]) => [from - (to - from) / 2, to + (to - from) / 2],
    earlier: ([from, to]) => [from - (to - from) / 2, to - (to - from) / 2],
    later: ([from, to]) => [from + (to - from) / 2, to + (to - from) / 2],
  };

  async function move(button) {
    const box = document.getElementById(button.parentElement.dataset.plot);
    if (!drawn.has(box)) await draw(box);
    if (button.value === "all") {
      Plotly.relayout(box, { "yaxis.autorange": true, "yaxis2.autorange": true });
      return;
    }
    const named = button.parentElement.dataset[button.value];
    const range = named ? named.split(",") : moves[button.value](box._fullLayout.xaxis.range.map(toMs)).map(toTime);
    Plotly.relayout(box, { "xaxis.range": range });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".moves button");
    if (button) move(button);
  });
  addEventListener("beforeprint", () => boxes.forEach((box) => drawn.has(box) || draw(box)));
})();
