/** The report to look at: one file, nothing loaded from anywhere, no script. @module */
import { barCharts, cpu, latencyCharts, throughput } from './charts/by-scenario.ts';
import { type Chart, escapeHtml, legend } from './charts/drawing.ts';
import { timeCharts } from './charts/over-time.ts';
import { style } from './html-style.ts';
import type { Results } from './results.ts';
import { type Table, tablesOf } from './row-cells.ts';
import { writeNumber } from './text.ts';
import { goalsTable, overviewOf, sentencesOf } from './verdicts.ts';
import { conditionsOf, notesOf, sayFault, verdictOf } from './words.ts';

/** A whole page. */
export function renderHtml(results: Results): string {
  const { baseline, startedAt, seconds, conditions } = results;
  const peers = legend(results.servers.map(({ name }) => name));
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
${renderShort(results)}
${renderCharts('Throughput', 'Longer is better. The thin line goes from the smallest to the largest round.', peers, barCharts(results, throughput))}
${renderCharts('Server CPU per gigabyte', 'Shorter is better.', peers, barCharts(results, cpu))}
${renderCharts('Latency', 'To the last byte; lower is better. The scale is logarithmic.', peers, latencyCharts(results))}
${renderCharts(`${escapeHtml(baseline)} over time`, 'From its own metrics, scraped every second. Dotted lines: where a scenario begins; between its loads other servers have their turn.', '', timeCharts(results))}
<section><h2>All figures</h2>${tablesOf(results)
    .map((each) => table(each, baseline))
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

function renderShort(results: Results): string {
  const [overview, goals] = [overviewOf(results), goalsTable(results)];
  if (overview.lines.length === 0) return '';
  const aims = goals.lines.length === 0 ? '' : table(goals);
  return `<section><h2>In short</h2>${table(overview)}${list(sentencesOf(results))}${aims}</section>`;
}

function table({ title, about, head, lines }: Table, baseline?: string): string {
  const rows = lines.map((cells) => {
    const texts = cells.map((cell) => `<td${cell === 'CLIENT' ? ' class="client"' : ''}>${marked(cell)}</td>`);
    return `<tr${head[0] === 'server' && cells[0] === baseline ? ' class="baseline"' : ''}>${texts.join('')}</tr>`;
  });
  const caption = `<caption>${escapeHtml(title)} <span>${escapeHtml(about)}</span></caption>`;
  const heads = head.map((cell) => `<th>${escapeHtml(cell)}</th>`).join('');
  return `<div class="scroll"><table>${caption}<thead><tr>${heads}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function list(lines: readonly string[]): string {
  return `<ul>${lines.map((line) => `<li>${marked(line)}</li>`).join('')}</ul>`;
}

// Notes and cells may have Markdown's emphasis and code.
function marked(line: string): string {
  return escapeHtml(line)
    .replace(/\*\*(.+?)\*\*/g, '<strong>$1</strong>')
    .replace(/\*(.+?)\*/g, '<em>$1</em>')
    .replace(/`(.+?)`/g, '<code>$1</code>');
}
