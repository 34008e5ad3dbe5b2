const WIDTH = 720;
const LEFT = 150;
const RIGHT = 130;
const TEXT = 'font-family="system-ui, sans-serif" font-size="13" fill="#444"';
const COLOURS = ['#2563eb', '#d97706', '#059669', '#9333ea'];

const escaped = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const text = (x, y, content, anchor = 'start', more = '') =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}" ${TEXT} ${more}>${escaped(content)}</text>`;

const svg = (height, title, parts) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${text(16, 26, title, 'start', 'font-weight="600"')}
${parts.join('\n')}
</svg>
`;

/** Bars on a logarithmic axis that ends at 1: shares of a ceiling. `rows`: { label, value, note }. */
export function barPlot(title, rows) {
  const smallest = Math.floor(Math.log10(Math.min(...rows.map(({ value }) => value))));
  const span = WIDTH - LEFT - RIGHT;
  const largest = Math.max(0, Math.log10(Math.max(...rows.map(({ value }) => value))));
  const x = (value) => LEFT + ((Math.log10(value) - smallest) / (largest - smallest)) * span;
  const bottom = 48 + rows.length * 26;
  const parts = [];
  for (let power = smallest; power <= 0; power++) {
    const at = x(10 ** power).toFixed(1);
    parts.push(
      `<line x1="${at}" y1="42" x2="${at}" y2="${bottom}" stroke="#ddd"/>`,
      text(at, bottom + 18, power === 0 ? '1' : String(10 ** power), 'middle'),
    );
  }
  rows.forEach(({ label, value, note }, row) => {
    const y = 48 + row * 26;
    parts.push(
      text(LEFT - 8, y + 14, label, 'end'),
      `<rect x="${LEFT}" y="${y}" width="${Math.max(1, x(value) - LEFT).toFixed(1)}" height="18" fill="${label === 'taskflow' ? COLOURS[0] : '#94a3b8'}"/>`,
      text(x(value) + 6, y + 14, note),
    );
  });
  return svg(bottom + 32, title, parts);
}

/** Lines over a logarithmic axis. `series`: { label, points: [size, value, min, max][] }. */
export function linePlot(title, xLabel, series, { bound } = {}) {
  const [top, bottom] = [44, 300];
  const points = series.flatMap((one) => one.points);
  const sizes = [...new Set(points.map(([size]) => size))].sort((a, b) => a - b);
  const highest = Math.max(1.2, ...points.map(([, value]) => value)) * 1.05;
  const [first, last] = [Math.log10(sizes[0]), Math.log10(sizes.at(-1))];
  const x = (size) => LEFT - 70 + (last === first ? 0.5 : (Math.log10(size) - first) / (last - first)) * (WIDTH - LEFT - RIGHT + 30);
  const y = (value) => bottom - (value / highest) * (bottom - top);
  const line = (value, stroke) => `<line x1="${LEFT - 80}" y1="${y(value)}" x2="${WIDTH - RIGHT}" y2="${y(value)}" stroke="${stroke}"/>`;
  const parts = [0, 0.5, 1].flatMap((value) => [line(value, '#ddd'), text(LEFT - 90, y(value) + 4, value, 'end')]);
  if (bound !== undefined) parts.push(line(bound, '#dc2626'), text(WIDTH - RIGHT + 4, y(bound) + 4, `${bound}: target`));
  for (const size of sizes) parts.push(text(x(size), bottom + 18, size.toLocaleString('en-US'), 'middle'));
  parts.push(text(WIDTH / 2, bottom + 40, xLabel, 'middle'));
  series.forEach(({ label, points: own }, at) => {
    const colour = COLOURS[at % COLOURS.length];
    const path = own.map(([size, value]) => `${x(size).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const [size, value] of own)
      parts.push(`<circle cx="${x(size).toFixed(1)}" cy="${y(value).toFixed(1)}" r="3.5" fill="${colour}"/>`);
    parts.push(
      `<rect x="${16 + at * 200}" y="${bottom + 54}" width="12" height="12" fill="${colour}"/>`,
      text(34 + at * 200, bottom + 64, label),
    );
  });
  return svg(bottom + 78, title, parts);
}
