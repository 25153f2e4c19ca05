/** docs/metrics.md has every metric that is exported, as it is exported, and no other. @module */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Family } from '../../src/observe/family.ts';
import { makeFolder, writeRegion } from '../support/regions.ts';
import { startService } from '../support/service.ts';

/** A row of the table. */
type Row = {
  readonly name: string;
  readonly type: string;
  readonly labels: string;
  readonly unit: string;
  readonly meaning: string;
};

const document = new URL('../../docs/metrics.md', import.meta.url);

test('docs/metrics.md has every metric that is exported, as it is exported, and no other', async (t) => {
  const dir = makeFolder(t, 'tmpfs');
  writeRegion(dir, 'region.bin', 4096);
  const { service } = await startService(t, { dir, writable: true, keepVersions: 60 });
  await service.app.inject({ url: '/regions/region.bin' });
  const families = await service.app.pagerelay.metrics.families();
  const documented = rowsOf(readFileSync(document, 'utf8'));
  assert.deepEqual(names(documented), names(families));
  for (const family of families) {
    const row = documented.find(({ name }) => name === family.name);
    const labels = family.samples.length > 0 ? labelsOf(family) : row?.labels; // Of garbage that was not collected yet.
    if (family.name.startsWith('pagerelay_')) assert.ok(family.samples.length > 0, `${family.name} has no sample`);
    assert.deepEqual(row, { name: family.name, type: family.type, labels, unit: unitOf(family), meaning: family.help });
  }
});

function names(of: readonly { readonly name: string }[]): string[] {
  return of.map(({ name }) => name).sort();
}

function labelsOf({ samples }: Family): string {
  const labels = new Set(samples.flatMap(({ labels = {} }) => Object.keys(labels)));
  labels.delete('le');
  return [...labels].join(', ');
}

function unitOf({ name }: Family): string {
  return /_(seconds|bytes)(_total)?$/.exec(name)?.[1] ?? '';
}

/** Of the tables that begin with names: `| name | type | labels | unit | meaning |`. */
function rowsOf(text: string): Row[] {
  const cells = text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').slice(1, -1));
  const metrics = cells.filter(({ length }) => length === 5);
  return metrics.map((row) => {
    const [name = '', type = '', labels = '', unit = '', meaning = ''] = row.map((cell) => cell.trim());
    const labelNames = [...labels.matchAll(/`([a-z_]+)`/g)].map(([, label]) => label).join(', ');
    return { name: name.replaceAll('`', ''), type, labels: labelNames, unit, meaning };
  });
}
