import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowedProcessors, pinned, pinsOf } from '../../loadtest/measure/pin.ts';
import {
  contextSwitches,
  cpuTicks,
  openFileLimit,
  residentBytes,
  runNanoseconds,
  usageOf,
} from '../../loadtest/measure/process-usage.ts';
import { nginxConfig } from '../../loadtest/servers/nginx.ts';
import type { Place } from '../../loadtest/servers/server.ts';

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
  const before = usageOf(process.pid).cpuSeconds;
  const end = performance.now() + 60;
  while (performance.now() < end);
  assert.ok(before > 0);
  assert.ok(usageOf(process.pid).cpuSeconds > before);
  assert.equal(contextSwitches('x:\t1\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n'), 7);
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
});

const place: Place = {
  ...{
    log: false,
    tokens: [],
    socket: 'tcp',
    processors: 1,
    writable: false,
    size: 0,
    port: 4711,
    socketPath: undefined,
  },
  ...{
    tree: { folder: '/regions', count: 1, regionBytes: 1, content: '/regions/x' },
    folder: '/folder',
    logFile: '/folder/log',
  },
};

test('several nginx workers have a listening socket each', () => {
  const two = nginxConfig({ ...place, processors: 2 }, '', true);
  assert.match(two, /worker_processes 2;[\s\S]*listen 127\.0\.0\.1:4711 reuseport;/);
  assert.match(nginxConfig(place, '', true), /worker_processes 1;[\s\S]*listen 127\.0\.0\.1:4711;/);
  assert.match(nginxConfig({ ...place, socketPath: '/folder/s' }, '', true), /listen unix:\/folder\/s;/);
});

test('all that nginx writes goes into its folder, and it stays in the foreground', () => {
  const config = nginxConfig({ ...place, log: true }, 'open_file_cache max=16;', true);
  const written = config.match(/^\s*(pid|error_log|access_log|\w+_temp_path) \S+/gm) ?? [];
  assert.equal(written.length, 8);
  for (const line of written) assert.match(line, / \/folder\//);
  for (const line of ['user root;', 'daemon off;', 'sendfile on;', 'open_file_cache max=16;']) {
    assert.ok(config.includes(line), line);
  }
  assert.doesNotMatch(nginxConfig(place, '', false), /user root|access_log \//);
  assert.match(nginxConfig({ ...place, tokens: ['a'] }, '', false), /"Bearer a" 1;[\s\S]*return 401;/);
});
