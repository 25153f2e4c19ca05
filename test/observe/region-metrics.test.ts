import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RegionEngine, RegionInfo } from '../../src/observe/region-metrics.ts';

const most = 1000;
const open = (region: string): RegionEngine => ({ region, backing: 'tmpfs', engine: 'sendfile', copyFree: true });

test('a thousand regions have a series of their own, whoever reads how many others', () => {
  const info = new RegionInfo();
  const seen = new Set<unknown>();
  for (let first = 0; first < 5 * most; first += 500) {
    const regions = Array.from({ length: 500 }, (_, at) => open(`region-${first + at}`));
    for (const { labels } of info.family(regions).samples) seen.add(labels?.region);
  }
  assert.equal(seen.size, most);
  assert.equal(info.family([open('region-9999'), open('region-7')]).samples.length, 1);
});

test('a region that is sent otherwise from now on has new labels, and keeps its place', () => {
  const info = new RegionInfo();
  const region = open('a');
  const [before] = info.family([region]).samples;
  assert.equal(info.family([region]).samples[0], before);
  const [after] = info.family([{ ...region, engine: 'copy', copyFree: false }]).samples;
  assert.deepEqual(after?.labels, { region: 'a', backing: 'tmpfs', engine: 'copy', copy_free: 'no' });
  const [unseen] = info.family([{ ...region, copyFree: null }]).samples;
  assert.equal(unseen?.labels?.copy_free, 'unknown');
});
