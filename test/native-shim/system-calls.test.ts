/** The native core makes its system calls through one table (native-shim/core/base/sys.h). */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const core = join(import.meta.dirname, '..', '..', 'native-shim', 'core');
const read = (path: string) => readFileSync(join(core, path), 'utf8');

/** What is behind the table itself. */
const behind = ['base/sys.c', 'base/beneath.c'];

/** What the C library calls those that the table has in a shape of its own. */
const otherwise = [
  ...[
    'open',
    'openat',
    'creat',
    'stat',
    'lstat',
    'statx',
    'readlink',
    'read',
    'fsync',
    'fdatasync',
    'process_vm_readv',
  ],
  ...['dup', 'dup2', 'dup3', 'pipe', 'pipe2', 'fcntl', 'ioctl', 'eventfd', 'epoll_create', 'epoll_create1', 'syscall'],
  ...['socket', 'accept', 'accept4', 'sendto', 'sendmsg', 'recvfrom', 'recvmsg', 'calloc', 'malloc', 'realloc'],
];
const named = [...read('base/sys.h').matchAll(/^ {4}CALL\(\w+, \w+, (?!real_)(\w+),/gm)].map(([, name = '']) => name);
const calls = [...new Set([...named, ...otherwise])];

/** Calls that a filter may refuse are tried as they are. */
const tried = 'return closed(syscall(SYS_openat2,';

test('no system call of the core goes past the table', () => {
  assert.ok(named.length > 20, 'the table was found');
  const bare = new RegExp(String.raw`(?<![\w.>])(?:${calls.join('|')})\(`);
  const past = globSync('**/*.c', { cwd: core })
    .filter((path) => !behind.includes(path))
    .flatMap((path) => {
      const code = read(path)
        .replaceAll(/\/\*.*?\*\//gs, '')
        .replace(tried, '');
      return code
        .split('\n')
        .filter((line) => bare.test(line) && !line.startsWith('#'))
        .map((line) => `${path}: ${line.trim()}`);
    });
  assert.deepEqual(past, []);
});
