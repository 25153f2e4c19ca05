/** The report to look at: one file, nothing loaded from anywhere, no script. @module */
import { writeNumber } from '../report/units.ts';
import { barCharts, cpu, throughput } from './charts/bars.ts';
import { type Chart, escapeHtml, legend } from './charts/drawing.ts';
import { latencyCharts } from './charts/latency.ts';
import { timeCharts } from './charts/over-time.ts';
import { style } from './html-style.ts';
import { conditionsOf, notesOf } from './notes.ts';
import type { Results } from './results.ts';
import { cellsOf, groupsOf, headOf, type RowGroup } from './row-cells.ts';
import { sayFault, verdictOf } from './words.ts';

/** A whole page. */
export function renderHtml(results: Results): string {
  const { baseline, startedAt, seconds, conditions } = results;
  const peers = legend(results.peers.map(({ name }) => name));
  const when = `${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${writeNumber(seconds)} s`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(`${baseline} under load, ${startedAt.slice(0, 10)}`)}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${escapeHtml(baseline)} under load</h1>
<p class="soft"><code>${escapeHtml(conditions.command)}</code>, ${when}</p>
${renderVerdict(results)}
</header>
<main>
${renderCharts('Throughput', 'Longer is better. The thin line goes from the smallest to the largest round.', peers, barCharts(results, throughput))}
${renderCharts('Server CPU per gigabyte', 'Shorter is better.', peers, barCharts(results, cpu))}
${renderCharts('Latency', 'To the last byte; lower is better. The scale is logarithmic.', peers, latencyCharts(results))}
${renderCharts(`${escapeHtml(baseline)} over time`, 'From its own metrics, scraped every second. Dotted lines: where a scenario begins; between its loads other servers have their turn.', '', timeCharts(results))}
<section><h2>All figures</h2>${groupsOf(results)
    .map((group) => renderTable(group, baseline))
    .join('')}</section>
<section><h2>How to read it</h2>${list(notesOf(results))}</section>
</main>
<footer><h2>Conditions</h2>${list(conditionsOf(results))}</footer>
</body>
</html>
`;
}

function renderVerdict(results: Results): string {
  const kind = { complete: '', faults: 'failed', interrupted: 'partial', 'out of time': 'partial' }[results.end];
  const faults = results.faults.map((fault) => `<li>${escapeHtml(sayFault(fault))}</li>`).join('');
  const all = faults === '' ? '' : `<ul class="faults">${faults}</ul>`;
  return `<p class="verdict ${kind}">${escapeHtml(verdictOf(results))}</p>${all}`;
}

function renderCharts(title: string, note: string, names: string, charts: readonly Chart[]): string {
  if (charts.length === 0) return '';
  const figures = charts.map((chart) => {
    const about = chart.note === undefined ? '' : `<p>${escapeHtml(chart.note)}</p>`;
    const caption = `<figcaption><h3>${escapeHtml(chart.title)}</h3>${about}</figcaption>`;
    const size = chart.isWide ? ' wide' : '';
    return `<figure class="chart${size}" data-chart="${chart.id}">${caption}<div class="scroll">${chart.svg}</div></figure>`;
  });
  return `<section><h2>${title}</h2><p class="soft">${note}</p>${names}<div class="charts">${figures.join('\n')}</div></section>`;
}

function renderTable({ title, about, by, rows }: RowGroup, baseline: string): string {
  const head = headOf(by).map((cell) => `<th>${escapeHtml(cell)}</th>`);
  const lines = rows.map((row) => {
    const cells = cellsOf(row, by).map((cell) => {
      return `<td${cell === 'CLIENT' ? ' class="client"' : ''}>${escapeHtml(cell)}</td>`;
    });
    return `<tr${by === 'server' && row.peer === baseline ? ' class="baseline"' : ''}>${cells.join('')}</tr>`;
  });
  const caption = `<caption>${escapeHtml(title)} <span>${escapeHtml(about)}</span></caption>`;
  return `<div class="scroll"><table>${caption}<thead><tr>${head.join('')}</tr></thead><tbody>${lines.join('')}</tbody></table></div>`;
}

// Notes may have Markdown's emphasis and code.
function list(lines: readonly string[]): string {
  const marked = (line: string) =>
    escapeHtml(line)
      .replace(/\*\*(.+?)\*\*/g, '<strong>$1</strong>')
      .replace(/`(.+?)`/g, '<code>$1</code>');
  return `<ul>${lines.map((line) => `<li>${marked(line)}</li>`).join('')}</ul>`;
}
