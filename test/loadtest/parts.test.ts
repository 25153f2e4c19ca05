/** Every part of the benchmark, for real, for a moment: that it runs and reports, not what it measures. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { choosePins } from '../../loadtest/measure/pin.ts';
import { nginx } from '../../loadtest/peers/nginx.ts';

const bench = fileURLToPath(new URL('../../loadtest/bench.ts', import.meta.url));
const noCompiler = spawnSync('cc', ['--version']).error ? 'no C compiler' : undefined;
const noRival = nginx.missing() === undefined ? undefined : 'nginx is not installed';
const skip = noCompiler ?? noRival ?? false;
if (skip) console.warn(`*** the parts of the benchmark are NOT tested: ${skip}`);

const briefly = ['--rounds', '1', '--seconds', '0.1', '--connections', '4'];

describe('npm run bench', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-parts-'));
  after(() => rmSync(folder, { recursive: true }));

  async function run(...argv: string[]): Promise<string> {
    const out = join(folder, 'report.md');
    const child = spawn(process.execPath, [bench, ...briefly, ...argv, '--out', out], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let printed = '';
    child.stdout.resume();
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 0, printed);
    return readFileSync(out, 'utf8');
  }

  test('servers', async () => {
    const text = await run('--parts', 'servers', '--sizes', '4K,64M', '--peers', 'nginx-cache,raw');
    assert.match(text, /^## Ranges of 4 KiB$/m);
    for (const name of ['pagerelay', 'nginx \\+ open_file_cache', 'raw sendfile loop']) {
      assert.equal(text.match(new RegExp(`^\\| ${name} \\| [\\d,.]+ \\|`, 'gm'))?.length, 2, name);
    }
    assert.match(text, /^\| 4 KiB: requests\/s over nginx \+ open_file_cache \| ≥ 1\.15 \| [\d.]+ \(/m);
  });

  test('rate and fresh', async () => {
    const text = await run('--parts', 'rate,fresh', '--sizes', '4K');
    assert.equal(text.match(/^\| (4|64) KiB \| 4 \| (pagerelay|nginx \+ open_file_cache) \|/gm)?.length, 4);
    assert.equal(text.match(/^\| (4 KiB|64 KiB|1 MiB) \| (pagerelay|nginx \+ open_file_cache) \|/gm)?.length, 6);
  });

  test('connections', async () => {
    const text = await run('--parts', 'connections', '--sizes', '4K');
    assert.equal(
      text.match(/^\| (4|64) KiB \| (1|16|256|2000) \| (pagerelay|nginx \+ open_file_cache) \|/gm)?.length,
      16,
    );
  });

  test('cores', { skip: choosePins(2) ? false : 'fewer than two processors' }, async () => {
    const text = await run('--parts', 'cores', '--sizes', '4K');
    assert.equal(text.match(/^\| [12] \| 64 KiB \| (pagerelay|nginx)/gm)?.length, 4);
    assert.match(text, /^- pagerelay --lanes 2:/m);
  });

  test('node', async () => {
    const text = await run('--parts', 'node', '--sizes', '4K');
    const rows = text.match(/^\| (node:http|Fastify|pagerelay --no-express).* \| [\d,.]+ \| [\d,.]+ \| .*\|$/gm);
    assert.equal(rows?.length, 7);
    assert.match(text, /^\| Fastify, hijacked \| .* \| Fastify \| [\d,.]+ \| [\d,.]+ \| -?[\d.]+ \(/m);
  });

  test('writing', async () => {
    const text = await run('--parts', 'writing', '--sizes', '4K');
    assert.match(text, /^\| tmpfs \| 64 KiB \| steady \| [\d,.]+ \|/m);
  });

  test('idle', async () => {
    const text = await run('--parts', 'idle', '--idle', '300');
    assert.match(text, /^300 kept-alive connections/m);
    assert.match(text, /^\| pagerelay \| -?[\d.,]+ \(.*\) \| [\d,.]+ \(.*\) \|$/m);
    assert.match(text, /^\| node:http \+ createReadStream \| -?[\d.,]+ \(.*\) \| none \|$/m);
  });
});
