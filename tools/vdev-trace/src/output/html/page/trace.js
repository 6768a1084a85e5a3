// Draws the trace. Data: rings, rows, and texts that rows share (see data.rs). A row is
// [0, ring, ns, device, access, isWrite, isRefused, address, value, old, what a register holds, that
//  register's curve, pc, function, event, seq, epoch, record, register, wrong stamp in ns],
// [1, ring, ns, text] or [2, ring, ns, lost records].
"use strict";
(() => {
  document.documentElement.classList.add("scripted");
  const ACCESS = 0, OTHER = 1, LOST = 2;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { rings, texts } = data;
  const $ = (id) => document.getElementById(id);
  const text = (place) => (place === null ? "" : texts[place]);

  const before = rings.map(() => null);
  const rows = data.rows.map((row) => {
    const [what, ring, ns] = row;
    const one = { what, ring, ns, since: before[ring] === null ? null : ns - before[ring] };
    if (what === LOST) {
      one.count = row[3];
      one.from = before[ring] ?? 0;
      return one;
    }
    before[ring] = ns;
    if (what === OTHER) return Object.assign(one, { text: text(row[3]) });
    return Object.assign(one, {
      device: text(row[3]), access: text(row[4]), write: row[5] === 1, refused: row[6] === 1,
      address: text(row[7]), value: row[8], old: row[9], word: row[10], curve: text(row[11]),
      pc: text(row[12]), function: text(row[13]), event: row[14], seq: row[15], epoch: row[16], number: row[17],
      register: text(row[18]), wrong: row[19],
    });
  });
  // Many devices have one register, without a name.
  document.documentElement.classList.toggle("unnamed", !rows.some((row) => row.register));
  const vmName = (ring) => rings[ring].vm;
  const series = (row) => `${vmName(row.ring)} ${row.curve || row.device}`;
  const register = (row) => (row.register ? `${vmName(row.ring)} ${row.device} ${row.register}` : series(row));

  // --- words ---
  const seconds = (ns, digits = 6) => (ns / 1e9).toFixed(digits);
  const whole = (number) => number.toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const duration = (ns) => {
    const size = Math.abs(ns);
    if (size < 1e3) return `${ns.toFixed(0)} ns`;
    if (size < 1e6) return `${(ns / 1e3).toFixed(2)} µs`;
    if (size < 1e9) return `${(ns / 1e6).toFixed(2)} ms`;
    return `${(ns / 1e9).toFixed(3)} s`;
  };
  const element = (name, className, content) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (content !== undefined) made.textContent = content;
    return made;
  };

  // --- what is shown ---
  const filter = { vm: "", device: "", direction: "", pc: "" };
  const all = rows.reduce((span, row) => [Math.min(span[0], row.ns), Math.max(span[1], row.ns)],
    [Infinity, -Infinity]);
  if (!rows.length) all.splice(0, 2, 0, 1e9);
  if (all[1] === all[0]) all[1] += 1e6;
  const margin = (all[1] - all[0]) * 0.015;
  const full = [Math.max(0, all[0] - margin), all[1] + margin];
  let span = full.slice();
  let shown = rows;
  let marked = null;

  const passes = (row) => {
    if (filter.vm && vmName(row.ring) !== filter.vm) return false;
    if (row.what === LOST) return true;
    if (row.what === OTHER) return !filter.device && !filter.direction && !filter.pc;
    return (!filter.device || row.device === filter.device)
      && (!filter.direction || row.write === (filter.direction === "W"))
      && (!filter.pc || row.pc === filter.pc);
  };

  const options = (id, counts) => {
    const select = $(id);
    const first = element("option", "", "all");
    first.value = "";
    select.append(first);
    for (const [value, { count, label }] of [...counts].sort((a, b) => b[1].count - a[1].count)) {
      const option = element("option", "", `${label ?? value} (${whole(count)})`);
      option.value = value;
      select.append(option);
    }
  };
  const tally = (key, label) => {
    const counts = new Map();
    for (const row of rows) {
      if (row.what !== ACCESS) continue;
      const value = key(row);
      const entry = counts.get(value);
      if (entry) entry.count += 1;
      else counts.set(value, { count: 1, label: label?.(row) });
    }
    return counts;
  };
  options("vm", tally((row) => vmName(row.ring)));
  options("device", tally((row) => row.device));
  options("pc", tally((row) => row.pc, (row) => (row.function ? `${row.pc} ${row.function}` : row.pc)));

  // The filter stands in the address, so that a view can be passed on.
  const readHash = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(filter)) {
      filter[name] = said.get(name) ?? "";
      $(name).value = filter[name];
    }
    const zoom = (said.get("zoom") ?? "").split("-").map(Number);
    span = zoom.length === 2 && zoom[1] > zoom[0] ? zoom.map((s) => s * 1e9) : full.slice();
    if (said.get("theme")) document.documentElement.dataset.theme = said.get("theme");
  };
  const writeHash = () => {
    const said = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) if (value) said.set(name, value);
    if (span[0] !== full[0] || span[1] !== full[1]) said.set("zoom", span.map((ns) => seconds(ns, 9)).join("-"));
    history.replaceState(null, "", said.size ? `#${said}` : location.pathname + location.search);
  };
  const refresh = () => {
    shown = rows.filter((row) => passes(row) && row.ns >= span[0] && (row.from ?? row.ns) <= span[1]);
    const records = shown.filter((row) => row.what !== LOST).length;
    const total = rows.filter((row) => row.what !== LOST).length;
    $("count").textContent = `${whole(records)} of ${whole(total)} records`;
    sumUp();
    scroll.scrollTop = 0;
    drawTable(true);
    draw();
  };
  for (const name of Object.keys(filter)) {
    $(name).addEventListener("change", () => {
      filter[name] = $(name).value;
      writeHash();
      refresh();
    });
  }
  $("clear").addEventListener("click", () => {
    for (const name of Object.keys(filter)) $(name).value = filter[name] = "";
    zoomTo(full.slice());
  });
  const zoomTo = (to) => {
    span = to;
    writeHash();
    refresh();
  };

  // --- the head of the page ---
  const accesses = rows.filter((row) => row.what === ACCESS);
  const losses = rows.filter((row) => row.what === LOST);
  const names = [...new Set(rings.map((ring) => ring.vm))];
  $("vms").textContent = names.join(", ");
  document.title = `vdev trace: ${names.join(", ")}`;
  const sum = (number, word, className) => {
    const box = element("div", className);
    box.append(element("b", "", number), element("span", "", word));
    $("sums").append(box);
  };
  // Of what the filter lets through and the zoom shows.
  const sumUp = () => {
    let [some, writes, refused, lost, first, last] = [0, 0, 0, 0, Infinity, -Infinity];
    for (const row of shown) {
      if (row.what === LOST) {
        lost += row.count;
        continue;
      }
      first = Math.min(first, row.ns);
      last = Math.max(last, row.ns);
      if (row.what !== ACCESS) continue;
      some += 1;
      writes += row.write;
      refused += row.refused;
    }
    $("sums").replaceChildren();
    sum(whole(some), "accesses");
    sum(whole(some - writes), "reads");
    sum(whole(writes), "writes");
    sum(whole(refused), "not supported");
    sum(whole(lost), "lost", lost ? "bad" : "");
    sum(first <= last ? duration(last - first) : "–", "from first to last");
    sum(some > 1 && last > first ? `${whole(Math.round(some / ((last - first) / 1e9)))}/s` : "–", "on average");
  };
  const notes = rings.flatMap((ring) => (ring.notes ?? []).map((note) => `${ring.vm}: ${note}`));
  if (data.left_out) notes.push(`only the newest ${whole(rows.length)} of ${whole(rows.length + data.left_out)} are shown`);
  $("run").textContent = data.run ?? "";
  $("notes").hidden = !notes.length;
  $("notes").textContent = notes.join("; ");

  const allSeries = [...new Set(accesses.filter((row) => row.word !== null).map(series))].sort();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const seriesColour = (name) => colour(`--s${allSeries.indexOf(name) % 4}`);
  const isDashed = (name) => allSeries.indexOf(name) % 8 >= 4;

  const legend = () => {
    const box = $("legend");
    box.replaceChildren();
    const entry = (name, css, className) => {
      const item = element("span");
      const sample = element("i", className);
      sample.style.background = css;
      item.append(sample, name);
      box.append(item);
    };
    for (const name of allSeries) entry(name, seriesColour(name), isDashed(name) ? "dashed" : "");
    entry("write", colour("--write"), "mark");
    if (losses.length) entry("lost", colour("--gap"), "gap");
  };

  // --- the charts ---
  const RIGHT = 14, TOP = 10, BOTTOM = 20;
  // Both charts begin below each other, right of the widest label.
  let left = 64;
  const FONT = "11px system-ui, 'DejaVu Sans', sans-serif";
  const makeRoom = (labels) => {
    const pen = $("counter").getContext("2d");
    pen.font = FONT;
    left = Math.max(40, ...labels.map((label) => Math.ceil(pen.measureText(whole(label)).width) + 16));
  };
  const prepare = (canvas) => {
    const scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = FONT;
    return { pen, width, height, x: (ns) => left + ((ns - span[0]) / (span[1] - span[0])) * (width - left - RIGHT) };
  };
  const steps = (low, high, count) => {
    const raw = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
    const ticks = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tick);
    return { ticks, step };
  };
  const axes = ({ pen, width, height, x }, values, y) => {
    pen.strokeStyle = colour("--grid");
    pen.fillStyle = colour("--dim");
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of values) {
      if (tick !== Math.round(tick)) continue;
      const at = Math.round(y(tick)) + 0.5;
      pen.beginPath();
      pen.moveTo(left, at);
      pen.lineTo(width - RIGHT, at);
      pen.stroke();
      pen.fillText(whole(tick), left - 8, at);
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const { ticks, step } = steps(span[0] / 1e9, span[1] / 1e9, Math.max(3, width / 130));
    const digits = Math.min(9, Math.max(0, -Math.floor(Math.log10(step))));
    for (const tick of ticks) {
      const at = Math.round(x(tick * 1e9)) + 0.5;
      pen.beginPath();
      pen.moveTo(at, TOP);
      pen.lineTo(at, height - BOTTOM);
      pen.stroke();
      pen.fillText(`${tick.toFixed(digits)} s`, at, height - BOTTOM + 5);
    }
  };
  // Each ring that lost something has a lane of its own, so that losses at the same time are told
  // apart; with one such ring it is the whole height.
  const drawGaps = (chart) => {
    const { pen, height, x } = chart;
    const seen = losses.filter((row) => passes(row) && row.ns >= span[0] && row.from <= span[1]);
    const lanes = [...new Set(losses.filter(passes).map((row) => row.ring))].sort((a, b) => a - b);
    const lane = (height - TOP - BOTTOM) / Math.max(1, lanes.length);
    clip(chart);
    pen.fillStyle = colour("--gap");
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const row of seen) {
      const from = Math.max(left, x(row.from)), to = Math.min(chart.width - RIGHT, Math.max(from + 2, x(row.ns)));
      const top = TOP + lanes.indexOf(row.ring) * lane;
      pen.globalAlpha = 0.16;
      pen.fillRect(from, top, to - from, lane - (lanes.length > 1 ? 2 : 0));
      pen.globalAlpha = 1;
      const lost = `${whole(row.count)} lost`;
      const label = lanes.length > 1 ? `${vmName(row.ring)}: ${lost}` : lost;
      if (to - from > pen.measureText(label).width + 8) pen.fillText(label, (from + to) / 2, top + 4);
    }
    pen.restore();
    $("counter").dataset.lanes = lanes.length;
  };
  const clip = ({ pen, width, height }) => {
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, width - left - RIGHT, height - BOTTOM + 1);
    pen.clip();
  };

  const counterScale = () => {
    const points = new Map();
    let low = Infinity, high = -Infinity;
    for (const row of rows) {
      if (row.what !== ACCESS || row.word === null) continue;
      if ((filter.vm && vmName(row.ring) !== filter.vm) || (filter.device && row.device !== filter.device)) continue;
      const name = series(row);
      if (!points.has(name)) points.set(name, []);
      points.get(name).push(row);
      if (row.ns >= span[0] && row.ns <= span[1]) {
        low = Math.min(low, row.word);
        high = Math.max(high, row.word);
      }
    }
    if (low > high) [low, high] = [0, 1];
    if (low === high) [low, high] = [Math.max(0, low - 1), high + 1];
    const powers = [0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].filter((power) => power >= low && power <= high);
    const ticks = $("log").checked && powers.length > 1 ? powers : steps(low, high, 4).ticks;
    return { points, low, high, ticks };
  };
  const drawCounter = ({ points, low, high, ticks }) => {
    const chart = prepare($("counter"));
    const { pen, width, height, x } = chart;
    const size = $("log").checked ? Math.log1p : (value) => value;
    const share = (value) => (size(value) - size(low)) / (size(high) - size(low));
    const y = (value) => height - BOTTOM - share(value) * (height - TOP - BOTTOM - 8) - 4;
    axes(chart, ticks, y);
    drawGaps(chart);
    clip(chart);
    let drawn = 0, marks = 0;
    // Where writes are as close as their marks are wide, those would be all there is to see: they
    // stand below the line then.
    const all = [...points.values()].flat().filter((row) => row.write && row.ns >= span[0] && row.ns <= span[1]);
    const crowded = all.length > (width - left - RIGHT) / 10;
    $("counter").dataset.marks = crowded ? "below" : "on the line";
    for (const [name, list] of points) {
      // A register is known where it was accessed; between, the curve holds its last known value.
      pen.strokeStyle = seriesColour(name);
      pen.setLineDash(isDashed(name) ? [6, 3] : []);
      pen.lineWidth = 1.8;
      pen.lineJoin = "round";
      pen.beginPath();
      let lastX = null, lastY = null;
      for (const row of list) {
        const px = x(row.ns), py = y(row.word);
        if (lastX === null) pen.moveTo(px, py);
        else if (px - lastX > 0.3 || Math.abs(py - lastY) > 0.3) {
          pen.lineTo(px, lastY);
          pen.lineTo(px, py);
        } else continue;
        [lastX, lastY] = [px, py];
        drawn += 1;
      }
      pen.stroke();
      pen.setLineDash([]);
      const visible = list.filter((row) => row.ns >= span[0] && row.ns <= span[1]);
      const sparse = visible.length < 160;
      pen.fillStyle = seriesColour(name);
      if (sparse) {
        for (const row of list) {
          if (row.write) continue;
          pen.beginPath();
          pen.arc(x(row.ns), y(row.word), 2.4, 0, 7);
          pen.fill();
        }
      }
      const writes = visible.filter((row) => row.write);
      pen.fillStyle = colour("--write");
      let lastMark = -Infinity;
      for (const row of writes) {
        const px = x(row.ns);
        if (px - lastMark < 1) continue;
        lastMark = px;
        marks += 1;
        if (crowded) {
          pen.fillRect(px - 0.5, height - BOTTOM - 5, 1, 6);
          continue;
        }
        pen.beginPath();
        pen.arc(px, y(row.word), 3.8, 0, 7);
        pen.fill();
      }
    }
    if (marked) {
      pen.strokeStyle = colour("--ink");
      pen.lineWidth = 1;
      pen.setLineDash([3, 3]);
      pen.beginPath();
      pen.moveTo(x(marked.ns), 0);
      pen.lineTo(x(marked.ns), height);
      pen.stroke();
    }
    pen.restore();
    $("counter").dataset.points = drawn;
    $("counter").dataset.writes = marks;
    $("counter").dataset.left = left;
  };

  const rateScale = () => {
    const wanted = (span[1] - span[0]) / Math.max(20, ($("rate").clientWidth - 64 - RIGHT) / 9);
    const power = 10 ** Math.floor(Math.log10(wanted));
    const bin = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= wanted));
    const bins = new Map();
    for (const row of shown) {
      if (row.what !== ACCESS) continue;
      const place = Math.floor(row.ns / bin);
      const entry = bins.get(place) ?? [0, 0];
      entry[row.write ? 1 : 0] += 1;
      bins.set(place, entry);
    }
    const high = Math.max(1, ...[...bins.values()].map(([r, w]) => r + w));
    return { bin, bins, high, ticks: steps(0, high, 4).ticks };
  };
  const drawRate = ({ bin, bins, high, ticks }) => {
    const chart = prepare($("rate"));
    const { pen, height, x } = chart;
    const y = (value) => height - BOTTOM - (value / high) * (height - TOP - BOTTOM);
    $("per").textContent = `in ${duration(bin).replace(/\.0+ /, " ")}`;
    axes(chart, ticks, y);
    drawGaps(chart);
    clip(chart);
    const base = y(0);
    for (const [place, [r, w]] of bins) {
      const from = x(place * bin), wide = Math.max(1, x((place + 1) * bin) - from - 1);
      pen.fillStyle = colour("--read");
      pen.fillRect(from, y(r), wide, base - y(r));
      pen.fillStyle = colour("--write");
      pen.fillRect(from, y(r + w), wide, y(r) - y(r + w));
    }
    pen.restore();
    $("rate").dataset.bins = bins.size;
  };
  const draw = () => {
    legend();
    const [counter, rate] = [counterScale(), rateScale()];
    makeRoom([...counter.ticks, ...rate.ticks]);
    drawCounter(counter);
    drawRate(rate);
  };

  // --- pointing at the charts ---
  const nearest = (ns) => {
    const list = shown.filter((row) => row.what === ACCESS);
    let best = null;
    for (const row of list) if (!best || Math.abs(row.ns - ns) < Math.abs(best.ns - ns)) best = row;
    return best;
  };
  let pressed = null;
  for (const canvas of [$("counter"), $("rate")]) {
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const share = (event.clientX - box.left - left) / (box.width - left - RIGHT);
      return span[0] + Math.min(1, Math.max(0, share)) * (span[1] - span[0]);
    };
    canvas.addEventListener("pointerdown", (event) => {
      pressed = at(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const ns = at(event);
      if (pressed !== null) {
        draw();
        const { pen, height, x } = {
          pen: canvas.getContext("2d"), height: canvas.clientHeight,
          x: (time) => left + ((time - span[0]) / (span[1] - span[0])) * (canvas.clientWidth - left - RIGHT),
        };
        pen.fillStyle = colour("--read");
        pen.globalAlpha = 0.15;
        pen.fillRect(x(Math.min(pressed, ns)), 0, Math.abs(x(ns) - x(pressed)), height - BOTTOM);
        pen.globalAlpha = 1;
        return;
      }
      const row = nearest(ns);
      const tip = $("tip");
      tip.hidden = !row;
      if (!row) return;
      tip.textContent = `${seconds(row.ns)} s  ${register(row)}\n${row.access} ${value(row)}\n${row.pc} ${row.function}`;
      const box = tip.parentElement.getBoundingClientRect();
      const at = event.clientX - box.left + 14;
      tip.style.left = `${Math.max(0, Math.min(at, box.width - tip.offsetWidth - 8))}px`;
      tip.style.top = `${event.clientY - box.top + 14}px`;
    });
    canvas.addEventListener("pointerleave", () => { $("tip").hidden = true; });
    canvas.addEventListener("pointerup", (event) => {
      const [from, to] = [pressed, at(event)].sort((a, b) => a - b);
      pressed = null;
      if (to - from > (span[1] - span[0]) * 0.004) zoomTo([from, to]);
      else mark(nearest(to));
    });
    canvas.addEventListener("dblclick", () => zoomTo(full.slice()));
  }
  const mark = (row) => {
    marked = row;
    if (row) {
      scroll.scrollTop = Math.max(0, shown.indexOf(row) * ROW_HEIGHT - scroll.clientHeight / 2);
    }
    drawTable(true);
    draw();
  };

  // --- the table: only the rows in view are in the document ---
  const ROW_HEIGHT = 26, EXTRA = 10;
  const scroll = $("scroll");
  const value = (row) => {
    if (row.refused) return "not supported";
    return row.write ? `${row.old} → ${row.value}` : `${row.value}`;
  };
  const tableRow = (row) => {
    const line = element("tr");
    if (row === marked) line.classList.add("at");
    const cell = (content, className) => line.append(element("td", className, content));
    if (row.what === LOST) {
      line.classList.add("lost");
      cell(seconds(row.ns), "n");
      cell("", "n since");
      cell(vmName(row.ring));
      const rest = element("td", "", `${whole(row.count)} records lost before this`);
      rest.colSpan = 9;
      line.append(rest);
      return line;
    }
    cell(seconds(row.ns), "n");
    const wrong = row.wrong === undefined ? "" : `wrong stamp: ${seconds(row.wrong)} s`;
    cell(wrong || (row.since === null ? "" : `+${duration(row.since)}`), "n dim since");
    cell(vmName(row.ring));
    if (row.what === OTHER) {
      const rest = element("td", "", row.text);
      rest.colSpan = 9;
      line.append(rest);
      return line;
    }
    line.classList.add(row.write ? "W" : "R");
    if (row.refused) line.classList.add("refused");
    cell(row.device);
    cell(row.event ?? "–", "n event");
    cell(row.access, "op");
    cell(row.address, "address");
    cell(row.register, "register");
    cell(value(row), "n");
    cell(row.pc);
    cell(row.seq, "n seq");
    cell(row.function, "dim");
    line.addEventListener("click", () => { marked = row; drawTable(true); draw(); });
    return line;
  };
  let drawnFrom = -1;
  const drawTable = (always) => {
    const from = Math.max(0, Math.floor(scroll.scrollTop / ROW_HEIGHT) - EXTRA);
    if (!always && from === drawnFrom) return;
    drawnFrom = from;
    const to = Math.min(shown.length, from + Math.ceil(scroll.clientHeight / ROW_HEIGHT) + 2 * EXTRA);
    const filler = (count) => {
      const line = element("tr", "filler");
      const cell = element("td");
      cell.colSpan = 12;
      cell.style.height = `${count * ROW_HEIGHT}px`;
      line.append(cell);
      return line;
    };
    $("rows").replaceChildren(filler(from), ...shown.slice(from, to).map(tableRow), filler(shown.length - to));
  };
  scroll.addEventListener("scroll", () => drawTable(false));

  // A guest that writes a large number makes the seconds invisible on a linear scale.
  const words = accesses.map((row) => row.word).filter((word) => word !== null).sort((a, b) => a - b);
  const middle = words[words.length >> 1] ?? 0;
  $("log").checked = words.length > 0 && words[words.length - 1] > 50 * (middle + 1);
  $("log").addEventListener("change", draw);
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);
  addEventListener("hashchange", () => { readHash(); refresh(); });
  readHash();
  refresh();
})();
