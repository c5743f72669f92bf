"use strict";
const runs = JSON.parse(document.getElementById("plots").textContent);
const HEIGHT = 190;
const drawn = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function number(value) {
  return value === null || value === undefined ? "none" : String(Number(value.toPrecision(4)));
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function key(label, index) {
  const made = element("span", "");
  made.className = "key";
  const mark = element("i", "");
  mark.style.background = `var(--c${index % 6})`;
  made.append(mark, label, " ", element("b", ""));
  return made;
}

function figure(plot, place) {
  const made = element("figure", "");
  const values = element("p", "");
  const names = Object.keys(plot.lines);
  values.append(...names.map(key));
  const target = element("div", "");
  made.append(element("h3", plot.title), values, target);
  place.append(made);
  if (!names.length || !plot.values.length) {
    target.textContent = "nothing was seen";
    return;
  }
  drawn.push({plot, target, names, values});
}

function show({plot, names, values}, index) {
  const at = index === null || index === undefined ? plot.values.length - 1 : index;
  names.forEach((name, n) => { values.children[n].querySelector("b").textContent = number(plot.lines[name][at]); });
}

function axis(label, size) {
  return {label, labelSize: 16, size, stroke: () => colour("--muted"), font: "11px system-ui", labelFont: "11px system-ui",
    grid: {stroke: () => colour("--line"), width: 1}, ticks: {stroke: () => colour("--line"), width: 1},
    values: (_, splits) => splits.map(value => value === null ? "" : number(value))};
}

function draw(each) {
  const {plot, target, names} = each;
  each.chart?.destroy();
  each.chart = new uPlot({
    width: target.clientWidth, height: HEIGHT, legend: {show: false}, cursor: {drag: {x: true, y: false}},
    scales: {x: {time: false, distr: plot.log ? 3 : 1}, y: {range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.05]}},
    axes: [axis(plot.x, 34), axis(plot.y, 48)],
    series: [{}, ...names.map((name, n) => ({
      label: name, stroke: () => colour(`--c${n % 6}`), width: 1.5, points: {show: plot.values.length < 12}, spanGaps: true,
    }))],
    hooks: {setCursor: [chart => show(each, chart.cursor.idx)]},
  }, [plot.values, ...names.map(name => plot.lines[name])], target);
  show(each);
}

document.querySelectorAll(".plots").forEach(place => runs[place.dataset.run].forEach(plot => figure(plot, place)));
drawn.forEach(draw);
addEventListener("resize", () => drawn.forEach(draw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
