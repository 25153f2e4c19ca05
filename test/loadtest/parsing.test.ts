import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadArguments, readResult } from '../../loadtest/client/load.ts';
import { cpuSecondsOf, cpuTicks } from '../../loadtest/measure/cpu.ts';
import { allowedProcessors, pinned } from '../../loadtest/measure/pin.ts';
import { nginxConfig, nginxVersion } from '../../loadtest/peers/nginx.ts';
import { enginesThatSent } from '../../loadtest/peers/pagerelay.ts';
import { listeningPort } from '../../loadtest/run/process.ts';

test('CPU ticks are user and system time, whatever the name of the process', () => {
  const after = 'S 1 2 3 4 5 6 7 8 9 10 110 12 13 14 20 0 1';
  assert.equal(cpuTicks(`42 (node) ${after}`), 122);
  assert.equal(cpuTicks(`42 (a) b (c) ${after}`), 122);
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
  assert.deepEqual(pinned(3, ['a', 'b']), ['taskset', '-c', '3', 'a', 'b']);
  assert.deepEqual(pinned(undefined, ['a', 'b']), ['a', 'b']);
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

test('the nginx version is read from what nginx prints', () => {
  assert.equal(nginxVersion('nginx version: nginx/1.22.1\n'), '1.22.1');
  assert.equal(nginxVersion(''), undefined);
});

test('all that nginx writes goes into its folder, and it stays in the foreground', () => {
  const config = nginxConfig('/regions', '/folder', 4711, true, 'open_file_cache max=16;');
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
  assert.doesNotMatch(nginxConfig('/regions', '/folder', 4711, false, ''), /user root/);
});

test('a load becomes the command line of the client', () => {
  const load = { port: 1, path: '/x', connections: 2, size: 3, regionBytes: 4, seconds: 5, seed: 6 };
  const expected = '--port 1 --path /x --connections 2 --size 3 --region 4 --seconds 5 --seed 6';
  assert.equal(loadArguments(load).join(' '), expected);
  assert.equal(loadArguments({ ...load, rate: 7 }).join(' '), expected.replace('--seed', '--rate 7 --seed'));
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
