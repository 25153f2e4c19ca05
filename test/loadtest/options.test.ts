import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { faultKinds } from '../../loadtest/clients/job.ts';
import { scenarios } from '../../loadtest/model/scenarios.ts';
import { listOfScenarios, parseOptions, UsageError, usage } from '../../loadtest/options.ts';
import { isLoopback } from '../../loadtest/run/target.ts';
import { runLoadtest, startLoadtest } from './run-loadtest.ts';

function parse(...argv: string[]) {
  const asked = parseOptions(argv);
  assert.equal(asked.kind, 'run');
  return asked.options;
}

test('without options it is the quick profile on servers of its own, and writes no document', () => {
  const { profile, target, servers, scenarios, out, document } = parse();
  assert.deepEqual([profile.name, target, servers, out], ['quick', undefined, profile.servers, 'results']);
  assert.deepEqual([scenarios.map(({ name }) => name), document], [profile.scenarios, undefined]);
});

test('the bench writes its document when it is whole, or where it is told to', () => {
  assert.equal(parse('--profile', 'bench').document, 'docs/benchmarks.md');
  assert.equal(parse('--profile', 'bench', '--scenarios', 'head').document, undefined);
  assert.equal(parse('--profile', 'bench', '--scenarios', 'head', '--document', '/x').document, '/x');
  assert.equal(parse('--profile', 'bench', '--profile', 'short').profile.name, 'short');
});

test('options change it', () => {
  const shorter = ['--rounds', '2', '--seconds', '3', '--clients', 'fast'];
  const options = parse('--profile', 'full', '--scenarios', 'whole', '--servers', 'stream', ...shorter);
  const { rounds, roundsAlone, seconds, clients } = options.profile;
  assert.deepEqual([rounds, roundsAlone, seconds, clients], [2, 2, 3, 'fast']);
  assert.deepEqual([options.servers, options.scenarios.map(({ name }) => name)], [['stream'], ['whole']]);
  assert.deepEqual(parse('--servers', 'none').servers, []);
  assert.deepEqual(parse('--profile', 'soak').servers, []);
});

test('a command starts a server beside the others', () => {
  const { given, servers, document } = parse('--profile', 'bench', '--server-command', 'old=x --a=b {dir} {port}');
  assert.deepEqual([given.map(({ name }) => name), servers.includes('nginx'), document], [['old'], true, undefined]);
  assert.deepEqual(parse().given, []);
});

test('a running service is put under load alone', () => {
  const { target, servers } = parse('--url', 'http://127.0.0.1:1', '--region', 'a/b', '--pid', '7');
  assert.deepEqual(servers, []);
  assert.deepEqual(
    [target?.url, target?.region, target?.pid, target?.allowRemote],
    ['http://127.0.0.1:1', 'a/b', 7, false],
  );
});

test('two results are compared', () => {
  const asked = parseOptions(['--compare', 'a', 'b', '--threshold', '0.5']);
  assert.deepEqual(asked, { kind: 'compare', old: 'a', new: 'b', threshold: 0.5 });
});

for (const argv of [
  ['--profile', 'slow'],
  ['--scenarios', 'nothing'],
  ['--servers', 'apache'],
  ['--rounds', '1.5'],
  ['--clients', 'slow'],
  ['--seconds', '0'],
  ['--seconds', ''],
  ['--max-requests', '0'],
  ['--url', 'nowhere'],
  ['--url', 'http://127.0.0.1:1', '--servers', 'nginx'],
  ['--url', 'http://127.0.0.1:1', '--server-command', 'old={dir} {port}'],
  ['--server-command', '{dir} {port}'],
  ['--server-command', '=x {dir} {port}'],
  ['--server-command', 'old=x {dir}'],
  ['--server-command', 'nginx=x {dir} {port}'],
  ['--region', 'a'],
  ['--allow-remote'],
  ['--token-file', '/nowhere', '--url', 'http://127.0.0.1:1'],
  ['--compare', 'a'],
  ['--compare', 'a', 'b', 'c'],
  ['argument'],
  ['--unknown'],
]) {
  test(`${argv.join(' ')} is a usage error`, () => assert.throws(() => parse(...argv), UsageError));
}

test('usage names profiles and servers, and the list every scenario with all that it depends on', () => {
  for (const word of ['quick', 'soak', 'lighttpd', '--compare', '--allow-remote']) assert.ok(usage().includes(word));
  for (const { name, about } of scenarios) assert.ok(listOfScenarios().includes(`${name}: ${about}`), name);
  assert.match(listOfScenarios(), /everyday-64k: .*\n.*1,000 regions by Zipf of 256 KiB.*kept;.*X-Request-Id.*log/);
  assert.match(listOfScenarios(), /close-4k: .*\n.*Connection: close.*no access log/);
});

test('only addresses of this machine are loopback', async () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '[::1]', 'localhost']) assert.ok(await isLoopback(host), host);
  for (const host of ['192.0.2.1', '10.0.0.1', '[2001:db8::1]', '0.0.0.0']) assert.ok(!(await isLoopback(host)), host);
});

test('another machine is put under load only when that is said', async (scope) => {
  const { code, printed, folder } = await runLoadtest(scope, '--url', 'http://192.0.2.1:8080');
  assert.equal(code, 2);
  assert.match(printed, /192\.0\.2\.1 is not this machine: --allow-remote/);
  assert.equal(folder, undefined);
});

for (const out of ['/proc/nowhere', '/etc/hostname/below', '/dev/null']) {
  test(`a report that could not be written into ${out} is a usage error before anything runs`, async (scope) => {
    const child = startLoadtest(scope, '--out', out);
    assert.deepEqual(await child.exited, { code: 2, signal: null });
    assert.match(child.stderr(), /^E\w+: .*\n.*--help/);
  });
}

test('-h is --help', () => {
  assert.deepEqual(parseOptions(['-h']), { kind: 'help' });
  assert.deepEqual(parseOptions(['--list']), { kind: 'list' });
});

test('what would be left unheard is refused', () => {
  const refused = (...argv: string[]) => assert.throws(() => parse(...argv), UsageError, argv.join(' '));
  refused('--threshold', '0.1');
  refused('--scenarios', 'whole,whole');
  refused('--save-baseline', 'b.json', '--rounds', '2');
  refused('--save-baseline', 'b.json', '--seconds', '0.5');
});

test('a run has no more requests than it may, however many connections there are', async (scope) => {
  const args = ['--scenarios', 'random-4k', '--servers', 'none', '--rounds', '1', '--seconds', '0.5'];
  const { code, results } = await runLoadtest(scope, ...args, '--max-requests', '10');
  assert.equal(code, 0);
  const [row] = results?.rows ?? [];
  assert.ok(row && row.requests >= 1 && row.requests <= 20, `${row?.requests} requests`);
});

test('a file that is no result is a usage error', async (scope) => {
  const { code, printed } = await runLoadtest(scope, '--compare', 'package.json', 'package.json');
  assert.equal(code, 2, printed);
});

test('docs/loadtest.md names every scenario, every fault and every flag', () => {
  const text = readFileSync(new URL('../../docs/loadtest.md', import.meta.url), 'utf8');
  const flags = [...usage().matchAll(/--[a-z-]+/g)].map(([flag]) => flag);
  for (const word of [...scenarios.map(({ name }) => name), ...faultKinds, ...flags]) {
    assert.ok(text.includes(word), word);
  }
});
