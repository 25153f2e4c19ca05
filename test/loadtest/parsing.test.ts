import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadArguments, readResult } from '../../loadtest/client/load.ts';
import { cpuSecondsOf, cpuTicks, runNanoseconds } from '../../loadtest/measure/cpu.ts';
import { openFileLimit, residentBytes } from '../../loadtest/measure/memory.ts';
import { allowedProcessors, pinned, pinsOf, sharesProcessors } from '../../loadtest/measure/pin.ts';
import { nginxConfig, nginxVersion } from '../../loadtest/peers/nginx.ts';
import { enginesThatSent, flagMissingFrom, nativeBytes } from '../../loadtest/peers/pagerelay.ts';
import { listeningPort } from '../../loadtest/run/process.ts';

test('CPU ticks are user and system time, whatever the name of the process', () => {
  const after = 'S 1 2 3 4 5 6 7 8 9 10 110 12 13 14 20 0 1';
  assert.equal(cpuTicks(`42 (node) ${after}`), 122);
  assert.equal(cpuTicks(`42 (a) b (c) ${after}`), 122);
});

test('nanoseconds on a processor are the first number of schedstat', () => {
  assert.equal(runNanoseconds('705943 52408 3\n'), 705943);
});

test('memory and limits are read from what the kernel tells of a process', () => {
  assert.equal(residentBytes('VmPeak:\t  9 kB\nVmRSS:\t   1234 kB\nRssAnon:\t 5 kB\n'), 1234 * 1024);
  assert.throws(() => residentBytes('Name:\tkthreadd\n'), /VmRSS/);
  assert.equal(openFileLimit('Limit  Soft  Hard  Units\nMax open files            1024       20000     files\n'), 1024);
  assert.equal(openFileLimit('Max open files            unlimited  unlimited files\n'), Number.POSITIVE_INFINITY);
});

test('a process has used processor time, and uses more when it works', () => {
  const before = cpuSecondsOf(process.pid);
  const end = performance.now() + 60;
  while (performance.now() < end);
  assert.ok(before > 0);
  assert.ok(cpuSecondsOf(process.pid) > before);
});

test('allowed processors are read from lists and ranges', () => {
  const status = (list: string) => `Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\nMems_allowed_list:\t0\n`;
  assert.deepEqual(allowedProcessors(status('0-3')), [0, 1, 2, 3]);
  assert.deepEqual(allowedProcessors(status('2,5-6')), [2, 5, 6]);
  assert.deepEqual(allowedProcessors(status('7')), [7]);
  assert.deepEqual(allowedProcessors('Name:\tx\n'), []);
});

test('a command is pinned where there is a processor to pin it to', () => {
  assert.deepEqual(pinned([3, 5], ['a', 'b']), ['taskset', '-c', '3,5', 'a', 'b']);
  assert.deepEqual(pinned(undefined, ['a', 'b']), ['a', 'b']);
});

test('the client has a processor of its own where there is one', () => {
  assert.deepEqual(pinsOf([2, 4, 6], 1), { server: [2], client: [4] });
  assert.deepEqual(pinsOf([2, 4, 6], 2), { server: [2, 4], client: [6] });
  assert.deepEqual(pinsOf([2, 4], 2), { server: [2, 4], client: [2, 4] });
  assert.deepEqual([pinsOf([2], 1), pinsOf([2], 2), pinsOf([], 1)], [undefined, undefined, undefined]);
  assert.equal(sharesProcessors({ server: [0, 1], client: [0, 1] }), true);
  assert.equal(sharesProcessors({ server: [0, 1], client: [2] }), false);
});

test('the port is read from what a server prints', () => {
  assert.equal(listeningPort('pagerelay listens on http://127.0.0.1:4711\n  curl …'), 4711);
  assert.equal(listeningPort('starting'), undefined);
});

test('the engines that have carried bytes are read from the metrics', () => {
  const line = (engine: string, bytes: string) => `pagerelay_sent_bytes_total{engine="${engine}"} ${bytes}\n`;
  const text = `# HELP pagerelay_sent_bytes_total x\n${line('sendfile', '4096')}${line('splice', '0')}${line('copy', '1e+21')}`;
  assert.deepEqual(enginesThatSent(text), ['sendfile', 'copy']);
});

test('native memory is read from the metrics', () => {
  assert.equal(nativeBytes('# TYPE x gauge\npagerelay_native_allocated_bytes 12345\n'), 12345);
  assert.throws(() => nativeBytes('pagerelay_references 0\n'), /lack/);
});

test('a flag that the service does not know is named', () => {
  const usage = '  --engine ENGINE  how\n  --no-express     off\n';
  assert.equal(flagMissingFrom(usage, ['--no-express']), undefined);
  assert.equal(flagMissingFrom(usage, ['--engine', 'copy']), undefined);
  assert.match(flagMissingFrom(usage, ['--copy-below', '16384']) ?? '', /does not know --copy-below/);
});

test('the nginx version is read from what nginx prints', () => {
  assert.equal(nginxVersion('nginx version: nginx/1.22.1\n'), '1.22.1');
  assert.equal(nginxVersion(''), undefined);
});

const settings = { root: '/regions', folder: '/folder', port: 4711, asRoot: true, workers: 1, extra: '' };

test('several nginx workers have a listening socket each', () => {
  assert.match(
    nginxConfig({ ...settings, workers: 2 }),
    /worker_processes 2;[\s\S]*listen 127\.0\.0\.1:4711 reuseport;/,
  );
  assert.match(nginxConfig(settings), /worker_processes 1;[\s\S]*listen 127\.0\.0\.1:4711;/);
});

test('all that nginx writes goes into its folder, and it stays in the foreground', () => {
  const config = nginxConfig({ ...settings, extra: 'open_file_cache max=16;' });
  const written = config.match(/^\s*(pid|error_log|\w+_temp_path) \S+/gm) ?? [];
  assert.equal(written.length, 7);
  for (const line of written) assert.match(line, / \/folder\//);
  for (const line of [
    'user root;',
    'daemon off;',
    'sendfile on;',
    'listen 127.0.0.1:4711;',
    'open_file_cache max=16;',
  ]) {
    assert.ok(config.includes(line), line);
  }
  assert.doesNotMatch(nginxConfig({ ...settings, asRoot: false }), /user root/);
});

test('a load becomes the command line of the client', () => {
  const load = { port: 1, path: '/x', connections: 2, size: 3, regionBytes: 4, seconds: 5, seed: 6 };
  const expected = '--port 1 --path /x --connections 2 --size 3 --region 4 --seconds 5 --seed 6';
  assert.equal(loadArguments(load).join(' '), expected);
  assert.equal(loadArguments({ ...load, rate: 7 }).join(' '), expected.replace('--seed', '--rate 7 --seed'));
  assert.equal(loadArguments({ ...load, fresh: true }).join(' '), `${expected} --fresh`);
  assert.equal(loadArguments({ ...load, verify: '/f' }).join(' '), `${expected} --verify /f`);
});

test('a result that lacks a number is refused', () => {
  const whole = {
    requests: 1,
    bytes: 2,
    seconds: 3,
    p50: 4,
    p99: 5,
    max: 6,
    clientCpuSeconds: 7,
    missed: 0,
    errors: 0,
    firstError: null,
  };
  assert.deepEqual(readResult(JSON.stringify(whole)), whole);
  assert.throws(() => readResult(JSON.stringify({ ...whole, errors: undefined })), /errors/);
});
