import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseServeOptions, type ServeOptions, UsageError, usage } from '../../src/command/options.ts';
import { ownFields } from '../../src/http/read/given-fields.ts';
import { limitRows } from '../../src/limits/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'pagerelay-options-'));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
function configFile(content: unknown): string {
  files += 1;
  const path = join(folder, `${files}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function optionsOf(argv: readonly string[], env: Record<string, string> = {}): ServeOptions {
  const command = parseServeOptions(argv, env);
  assert.equal(command.kind, 'serve');
  return command.options;
}

function refuses(message: RegExp, argv: readonly string[], env: Record<string, string> = {}): void {
  assert.throws(
    () => parseServeOptions(argv, env),
    (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      return true;
    },
  );
}

test('nothing given means the defaults', () => {
  assert.deepEqual(optionsOf([]), {
    host: '127.0.0.1',
    port: 8080,
    listen: [],
    adminListen: [],
    socketMode: undefined,
    dir: undefined,
    dotfiles: 'allow',
    writable: false,
    trustedProxies: [],
    allowHosts: [],
    cors: [],
    writeTokenFile: undefined,
    readTokenFile: undefined,
    regions: [],
    portableEtags: false,
    keepVersions: 0,
    keepBytes: 1_073_741_824,
    maxDigestBytes: 1_073_741_824,
    cacheControl: 'no-cache',
    headers: [],
    engine: 'auto',
    noExpress: false,
    copyBelow: 0,
    copyFirstBelow: 0,
    lanes: Math.min(256, Math.max(1, availableParallelism() - 1)),
    unaskable: [],
    maxHold: 300,
    breakHolds: 30,
    ...Object.fromEntries(limitRows.map(([name]) => [name, undefined])),
    bodyTimeout: 60,
    maxWait: 30,
    maxPartial: 67_108_864,
    durability: 'sync',
    maxBytes: undefined,
    drain: 30,
    logLevel: 'info',
    accessLog: '-',
    accessLogFormat: 'json',
  });
});

// Every option as a flag's arguments, as a variable, as a key of the file, and as what it becomes.
type Spelling = readonly [
  key: keyof ServeOptions,
  argv: readonly string[],
  variable: readonly [string, string],
  file: Record<string, unknown>,
  value: unknown,
];

const ten = { address: '10.0.0.0', prefix: 8, family: 'ipv4' };
const unique = { address: 'fd00::', prefix: 8, family: 'ipv6' };
const spellings: readonly Spelling[] = [
  ['host', ['--host', '::1'], ['PAGERELAY_HOST', '::1'], { host: '::1' }, '::1'],
  ['port', ['--port', '0'], ['PAGERELAY_PORT', '0'], { port: 0 }, 0],
  ['port', ['--port=65535'], ['PAGERELAY_PORT', '65535'], { port: 65535 }, 65535],
  [
    'host',
    ['--host', 'unix:/run/a b.sock'],
    ['PAGERELAY_HOST', 'unix:/run/a b.sock'],
    { host: 'unix:/run/a b.sock' },
    'unix:/run/a b.sock',
  ],
  [
    'listen',
    ['--listen', '0.0.0.0:80,device=eth1,node=1', '--listen', '[::1]:0', '--listen', 'unix:/run/a.sock'],
    ['PAGERELAY_LISTEN', ' 0.0.0.0:80,device=eth1,node=1 [::1]:0\n unix:/run/a.sock'],
    { listen: ['0.0.0.0:80,device=eth1,node=1', '[::1]:0', 'unix:/run/a.sock'] },
    [
      { text: '0.0.0.0:80,device=eth1,node=1', place: { host: '0.0.0.0', port: 80 }, device: 'eth1', node: 1 },
      { text: '[::1]:0', place: { host: '::1', port: 0 } },
      { text: 'unix:/run/a.sock', place: { path: '/run/a.sock' } },
    ],
  ],
  [
    'trustedProxies',
    ['--trusted-proxy', '10.0.0.0/8', '--trusted-proxy', 'unix:'],
    ['PAGERELAY_TRUSTED_PROXY', '10.0.0.0/8,unix:'],
    { trustedProxy: ['10.0.0.0/8', 'unix:'] },
    [ten, 'unix:'],
  ],
  [
    'adminListen',
    ['--admin-listen', '10.0.0.1:9090', '--admin-listen', 'unix:/run/admin.sock'],
    ['PAGERELAY_ADMIN_LISTEN', '10.0.0.1:9090 unix:/run/admin.sock'],
    { adminListen: ['10.0.0.1:9090', 'unix:/run/admin.sock'] },
    [
      { text: '10.0.0.1:9090', place: { host: '10.0.0.1', port: 9090 } },
      { text: 'unix:/run/admin.sock', place: { path: '/run/admin.sock' } },
    ],
  ],
  [
    'listen',
    ['--listen', 'fd:3,node=0', '--listen', 'files.example:65535'],
    ['PAGERELAY_LISTEN', 'fd:3,node=0 files.example:65535'],
    { listen: ['fd:3,node=0', 'files.example:65535'] },
    [
      { text: 'fd:3,node=0', place: { fd: 3 }, node: 0 },
      { text: 'files.example:65535', place: { host: 'files.example', port: 65_535 } },
    ],
  ],
  ['socketMode', ['--socket-mode', '660'], ['PAGERELAY_SOCKET_MODE', '0660'], { socketMode: '660' }, 0o660],
  ['dir', ['--dir', '/srv/a b'], ['PAGERELAY_DIR', '/srv/a b'], { dir: '/srv/a b' }, '/srv/a b'],
  ['writable', ['--dir', 'x', '--writable'], ['PAGERELAY_WRITABLE', '1'], { writable: true }, true],
  [
    'writeTokenFile',
    ['--write-token-file', '/w'],
    ['PAGERELAY_WRITE_TOKEN_FILE', '/w'],
    { writeTokenFile: '/w' },
    '/w',
  ],
  ['readTokenFile', ['--read-token-file', '/r'], ['PAGERELAY_READ_TOKEN_FILE', '/r'], { readTokenFile: '/r' }, '/r'],
  [
    'regions',
    ['--region', 'a=/x', '--region', 'b/c=/y=z'],
    ['PAGERELAY_REGION', 'a=/x, b/c=/y=z'],
    { region: ['a=/x', 'b/c=/y=z'] },
    [
      { name: 'a', path: '/x' },
      { name: 'b/c', path: '/y=z' },
    ],
  ],
  ['engine', ['--engine', 'splice'], ['PAGERELAY_ENGINE', 'splice'], { engine: 'splice' }, 'splice'],
  ['noExpress', ['--no-express'], ['PAGERELAY_NO_EXPRESS', '1'], { noExpress: true }, true],
  ['accessLog', ['--access-log', '/l o g'], ['PAGERELAY_ACCESS_LOG', '/l o g'], { accessLog: '/l o g' }, '/l o g'],
  ['accessLog', ['--access-log', 'off'], ['PAGERELAY_ACCESS_LOG', 'off'], { accessLog: 'off' }, 'off'],
  ['accessLog', ['--access-log', '-'], ['PAGERELAY_ACCESS_LOG', '-'], { accessLog: '-' }, '-'],
  [
    'accessLogFormat',
    ['--access-log-format', 'combined'],
    ['PAGERELAY_ACCESS_LOG_FORMAT', 'combined'],
    { accessLogFormat: 'combined' },
    'combined',
  ],
  ['copyBelow', ['--copy-below', '16384'], ['PAGERELAY_COPY_BELOW', '16384'], { copyBelow: 16_384 }, 16_384],
  ['copyBelow', ['--copy-below', '16KiB'], ['PAGERELAY_COPY_BELOW', '16KiB'], { copyBelow: '16KiB' }, 16_384],
  ['copyBelow', ['--copy-below', '0'], ['PAGERELAY_COPY_BELOW', '0'], { copyBelow: 0 }, 0],
  [
    'copyFirstBelow',
    ['--copy-first-below', '16KiB'],
    ['PAGERELAY_COPY_FIRST_BELOW', '16384'],
    { copyFirstBelow: 16_384 },
    16_384,
  ],
  ['lanes', ['--lanes', '256'], ['PAGERELAY_LANES', '256'], { lanes: 256 }, 256],
  [
    'unaskable',
    ['--unaskable', '10.0.0.0/8', '--unaskable', 'fd00::/8'],
    ['PAGERELAY_UNASKABLE', '10.0.0.0/8,fd00::/8'],
    { unaskable: ['10.0.0.0/8', 'fd00::/8'] },
    [ten, unique],
  ],
  [
    'allowHosts',
    ['--allow-host', 'files.example', '--allow-host', '[fd00::1]:8080'],
    ['PAGERELAY_ALLOW_HOST', 'files.example,[fd00::1]:8080'],
    { allowHost: ['files.example', '[fd00::1]:8080'] },
    ['files.example', '[fd00::1]:8080'],
  ],
  [
    'cors',
    ['--cors', 'https://a.example', '--cors', 'http://localhost:8080'],
    ['PAGERELAY_CORS', 'https://a.example,http://localhost:8080'],
    { cors: ['https://a.example', 'http://localhost:8080'] },
    ['https://a.example', 'http://localhost:8080'],
  ],
  ['maxHold', ['--max-hold', '0.5'], ['PAGERELAY_MAX_HOLD', '0.5'], { maxHold: 0.5 }, 0.5],
  ['bodyTimeout', ['--body-timeout', '0.5'], ['PAGERELAY_BODY_TIMEOUT', '0.5'], { bodyTimeout: 0.5 }, 0.5],
  ['maxWait', ['--max-wait', '0'], ['PAGERELAY_MAX_WAIT', '0'], { maxWait: 0 }, 0],
  ['breakHolds', ['--break-holds', '0.5'], ['PAGERELAY_BREAK_HOLDS', '0.5'], { breakHolds: 0.5 }, 0.5],
  ['maxPartial', ['--max-partial', '1'], ['PAGERELAY_MAX_PARTIAL', '1'], { maxPartial: 1 }, 1],
  ['maxPartial', ['--max-partial', '3KiB'], ['PAGERELAY_MAX_PARTIAL', '3KiB'], { maxPartial: '3KiB' }, 3072],
  ['maxPartial', ['--max-partial', '64MiB'], ['PAGERELAY_MAX_PARTIAL', '64MiB'], { maxPartial: '64MiB' }, 67_108_864],
  ['durability', ['--durability', 'sync'], ['PAGERELAY_DURABILITY', 'sync'], { durability: 'sync' }, 'sync'],
  ['durability', ['--durability', 'group'], ['PAGERELAY_DURABILITY', 'group'], { durability: 'group' }, 'group'],
  ['durability', ['--durability', 'none'], ['PAGERELAY_DURABILITY', 'none'], { durability: 'none' }, 'none'],
  ['dotfiles', ['--dotfiles', 'deny'], ['PAGERELAY_DOTFILES', 'deny'], { dotfiles: 'deny' }, 'deny'],
  [
    'cacheControl',
    ['--cache-control', 'no-store'],
    ['PAGERELAY_CACHE_CONTROL', 'no-store'],
    { cacheControl: 'no-store' },
    'no-store',
  ],
  [
    'headers',
    ['--header', 'X-Served-By: a, b', '--header', 'Link:<x>; rel=license'],
    ['PAGERELAY_HEADER', 'X-Served-By: a, b\nLink:<x>; rel=license'],
    { header: ['X-Served-By: a, b', 'Link:<x>; rel=license'] },
    [
      { name: 'x-served-by', value: 'a, b' },
      { name: 'link', value: '<x>; rel=license' },
    ],
  ],
  ['portableEtags', ['--portable-etags'], ['PAGERELAY_PORTABLE_ETAGS', '1'], { portableEtags: true }, true],
  ['keepVersions', ['--keep-versions', '90.5'], ['PAGERELAY_KEEP_VERSIONS', '90.5'], { keepVersions: 90.5 }, 90.5],
  ['keepBytes', ['--keep-bytes', '2GiB'], ['PAGERELAY_KEEP_BYTES', '2GiB'], { keepBytes: '2GiB' }, 2_147_483_648],
  [
    'maxDigestBytes',
    ['--max-digest-bytes', '2GiB'],
    ['PAGERELAY_MAX_DIGEST_BYTES', '2GiB'],
    { maxDigestBytes: '2GiB' },
    2_147_483_648,
  ],
  ['maxDigestBytes', ['--max-digest-bytes', '0'], ['PAGERELAY_MAX_DIGEST_BYTES', '0'], { maxDigestBytes: 0 }, 0],
  ['maxBytes', ['--max-bytes', '2GiB'], ['PAGERELAY_MAX_BYTES', '2GiB'], { maxBytes: 2_147_483_648 }, 2_147_483_648],
  ['maxBytes', ['--max-bytes', '2TiB'], ['PAGERELAY_MAX_BYTES', '2TiB'], { maxBytes: '2TiB' }, 2_199_023_255_552],
  [
    'maxBytes',
    ['--max-bytes', '9007199254740991'],
    ['PAGERELAY_MAX_BYTES', '9007199254740991'],
    { maxBytes: Number.MAX_SAFE_INTEGER },
    Number.MAX_SAFE_INTEGER,
  ],
  ['drain', ['--drain', '0'], ['PAGERELAY_DRAIN', '0'], { drain: 0 }, 0],
  ['logLevel', ['--log-level', 'silent'], ['PAGERELAY_LOG_LEVEL', 'silent'], { logLevel: 'silent' }, 'silent'],
];

for (const [key, argv, [variable, text], file, value] of spellings) {
  test(`${argv.join(' ')}, ${variable} and ${JSON.stringify(file)} mean the same`, () => {
    assert.deepEqual(optionsOf(argv)[key], value);
    // Nothing is writable without a folder.
    const dir = { PAGERELAY_DIR: 'x', PAGERELAY_WRITABLE: '' };
    assert.deepEqual(optionsOf([], { ...dir, [variable]: text })[key], value);
    assert.deepEqual(optionsOf(['--config', configFile(file)], key === 'dir' ? {} : dir)[key], value);
  });
}

test('every option can be spelled in all three ways', () => {
  const limits = limitRows.map(([name]) => name); // test/limits/limits.test.ts
  const spelled = new Set([...spellings.map(([key]) => key), ...limits]);
  assert.deepEqual([...spelled].sort(), Object.keys(optionsOf([])).sort());
});

test('flags win over variables, variables over the file, the file over defaults', () => {
  const config = configFile({ port: 1, drain: 1, maxHold: 1 });
  const env = { PAGERELAY_PORT: '2', PAGERELAY_DRAIN: '2', PAGERELAY_CONFIG: config };
  const { port, drain, maxHold, host } = optionsOf(['--port', '3'], env);
  assert.deepEqual({ port, drain, maxHold, host }, { port: 3, drain: 2, maxHold: 1, host: '127.0.0.1' });
});

test('--config wins over PAGERELAY_CONFIG, of which the file is then not read', () => {
  const env = { PAGERELAY_CONFIG: join(folder, 'missing.json') };
  assert.equal(optionsOf(['--config', configFile({ port: 5 })], env).port, 5);
});

test('a list replaces the list of the source below it', () => {
  const env = { PAGERELAY_REGION: 'a=/x,b=/y' };
  assert.deepEqual(optionsOf(['--region', 'c=/z'], env).regions, [{ name: 'c', path: '/z' }]);
});

test('an empty variable counts as not set', () => {
  const env = { PAGERELAY_PORT: '', PAGERELAY_REGION: '', PAGERELAY_CONFIG: '' };
  assert.deepEqual(optionsOf([], env), optionsOf([]));
});

test('the last of a flag that takes one value counts', () => {
  assert.equal(optionsOf(['--port', '1', '--port', '2']).port, 2);
});

test('a wrong value in a source that is outranked is not judged', () => {
  assert.equal(optionsOf(['--port', '1'], { PAGERELAY_PORT: 'x' }).port, 1);
});

test('help and version are told apart from serving, help first', () => {
  assert.deepEqual(parseServeOptions(['--help'], {}), { kind: 'help' });
  assert.deepEqual(parseServeOptions(['--version'], {}), { kind: 'version' });
  assert.deepEqual(parseServeOptions(['--version', '--port', 'x', '--help'], {}), { kind: 'help' });
});

const wrongFlags: readonly (readonly [message: RegExp, argv: readonly string[]])[] = [
  [/--bogus/, ['--bogus']],
  [/-x/, ['-x']],
  [/'extra'/, ['extra']],
  [/'extra'/, ['--', 'extra']],
  [/--port/, ['--port']],
  [/--help/, ['--help=yes']],
  [/^--host must be a host name, an address, or unix: and a path of at most 107 bytes, not ""$/, ['--host', '']],
  [/^--host must be/, ['--host', 'a b']],
  [/^--host must be/, ['--host', 'http://a']],
  [/^--host must be/, ['--host', 'unix:']],
  [/^--host must be/, ['--host', `unix:/${'a'.repeat(107)}`]],
  ...[
    ...[
      '',
      '8080',
      ':8080',
      '127.0.0.1',
      '127.0.0.1:',
      '127.0.0.1:65536',
      '::1:80',
      '[::1]',
      '[127.0.0.1]:80',
      'a b:80',
    ],
    ...['http://a:80', 'a/b:80', 'unix:', `unix:/${'a'.repeat(107)}`, 'unix:/a,b', 'fd:', 'fd:-1', 'fd:x', 'fd:3:4'],
    ...['a:80,', 'a:80,device', 'a:80,device=', 'a:80,device=a/b', `a:80,device=${'d'.repeat(16)}`, 'a:80,node=-1'],
    ...[
      'a:80,node=1,node=2',
      'a:80,node=1024',
      'a:80,other=1',
      'a:80,proxy=1',
      'unix:/a,device=eth1',
      'fd:3,device=eth1',
    ],
  ].map((text) => [/^--listen must be HOST:PORT, /, ['--listen', text]] as const),
  [/^--port is a short form of --listen: only one of them can be given$/, ['--listen', 'a:80', '--port', '81']],
  [/^--host is a short form of --listen/, ['--host', 'a', '--listen', 'a:80']],
  [
    /^--listen and --admin-listen take at most 16 places together$/,
    Array.from({ length: 17 }, (_, port) => [port % 2 ? '--listen' : '--admin-listen', `a:${port}`]).flat(),
  ],
  [/^--listen a:80,proxy needs --trusted-proxy: nobody else may say who a client is$/, ['--listen', 'a:80,proxy']],
  [/^--admin-listen a:80,proxy needs --trusted-proxy/, ['--admin-listen', 'a:80,proxy']],
  [/^--trusted-proxy must be an address with a prefix length, /, ['--trusted-proxy', '10.0.0.1']],
  [/^--admin-listen must be HOST:PORT, /, ['--admin-listen', '9090']],
  [/^--socket-mode must be/, ['--socket-mode', '688']],
  [/^--cors must be/, ['--cors', 'app.example']],
  [/^--cors must be/, ['--cors', 'https://app.example/']],
  [/^--max-connections must be/, ['--max-connections', '0']],
  [/^--port must be a whole number from 0 to 65535, not "65536"$/, ['--port', '65536']],
  [/^--port must be/, ['--port=-1']],
  [/^--port must be/, ['--port', '']],
  [/^--port must be/, ['--port', '80.0']],
  [/^--port must be/, ['--port', '0x50']],
  [/^--port must be/, ['--port', ' 80']],
  [/^--port must be/, ['--port', '9'.repeat(400)]],
  [/^--dir must be a path that is not empty, not ""$/, ['--dir', '']],
  [/^--dir must be/, ['--dir', 'a\0b']],
  [/^--dotfiles must be one of allow, deny, not "ignore"$/, ['--dotfiles', 'ignore']],
  [/^--region a\/\.b=… has .*--dotfiles deny$/, ['--region', 'a/.b=/x', '--dotfiles', 'deny']],
  [/^--region must be NAME=PATH .*, not "a"$/, ['--region', 'a']],
  [/^--region must be/, ['--region', 'a=']],
  [/^--region must be/, ['--region', '=/x']],
  [/^--region must be/, ['--region', '../a=/x']],
  [/^--region must be/, ['--region', '.pagerelay/a=/x']],
  [/given once.*not "a=\/x" and "a=\/y"$/, ['--region', 'a=/x', '--region', 'a=/y']],
  [/^--cache-control must be a field value of .*, not ""$/, ['--cache-control', '']],
  [/^--cache-control must be/, ['--cache-control', 'no-cache\r\nX: y']],
  [/^--cache-control must be/, ['--cache-control', 'no-cache\n']],
  [/^--cache-control must be/, ['--cache-control', ' no-cache']],
  [/^--cache-control must be/, ['--cache-control', 'é']],
  [/^--header must be a field name, a colon .*, not "X"$/, ['--header', 'X']],
  [/^--header must be/, ['--header', ': y']],
  [/^--header must be/, ['--header', 'X :y']],
  [/^--header must be/, ['--header', 'X:']],
  [/^--header must be/, ['--header', 'X: y\r\nZ: z']],
  [/^--header must be/, ['--header', 'X: y\nZ: z']],
  [/^--header must be/, ['--header', 'X: y\0']],
  [/^--header must be/, ['--header', 'X\r: y']],
  [/^--header must be/, ['--header', 'X: good', '--header', 'Date: now']],
  ...[...ownFields].map((name) => [/^--header must be/, ['--header', `${name.toUpperCase()}: 1`]] as const),
  [/^--engine must be one of auto, sendfile, splice, copy, stream, zerocopy, not "fast"$/, ['--engine', 'fast']],
  [/^--engine must be/, ['--engine', 'Auto']],
  [/^--copy-below must be 0, or a whole number of bytes from 1 to 2\^53 - 1, .*, not "-1"$/, ['--copy-below=-1']],
  [/^--copy-below must be/, ['--copy-below', '16KB']],
  [/^--copy-below must be/, ['--copy-below', '00']],
  [/^--copy-below must be/, ['--copy-below', '']],
  [/^--access-log must be -, off, or a path that is not empty, not ""$/, ['--access-log', '']],
  [/^--access-log must be/, ['--access-log', 'a\0b']],
  [/^--access-log-format must be one of json, combined, not "common"$/, ['--access-log-format', 'common']],
  [/^--access-log-format must be/, ['--access-log-format', 'JSON']],
  [/--no-express/, ['--no-express=yes']],
  [/--express/, ['--express']],
  [/^--lanes must be a whole number from 1 to 256, not "0"$/, ['--lanes', '0']],
  [/^--lanes must be/, ['--lanes', '257']],
  [/^--unaskable must be .* prefix length.*, not "10.0.0.0"$/, ['--unaskable', '10.0.0.0']],
  [/^--unaskable must be/, ['--unaskable', '10.0.0.0/33']],
  [/^--unaskable must be/, ['--unaskable', '10.0.0/8']],
  [/^--unaskable must be/, ['--unaskable', '10.0.0.0/']],
  [/^--unaskable must be/, ['--unaskable', '10.0.0.0/-1']],
  [/^--unaskable must be/, ['--unaskable', 'fd00::/129']],
  [/^--unaskable must be/, ['--unaskable', 'fe80::1%eth0/64']],
  [/^--unaskable must be/, ['--unaskable', 'example.org/8']],
  [/^--max-hold must be a number of seconds above 0, at most 2147483, not "0"$/, ['--max-hold', '0']],
  [/^--max-hold must be/, ['--max-hold', '0.0']],
  [/^--max-hold must be/, ['--max-hold=-1']],
  [/^--max-hold must be/, ['--max-hold', '1e3']],
  [/^--max-hold must be/, ['--max-hold', 'Infinity']],
  [/^--max-hold must be/, ['--max-hold', '2147484']],
  [/^--break-holds must be a number of seconds above 0, at most 2147483, not "0"$/, ['--break-holds', '0']],
  [/^--break-holds must be/, ['--break-holds', '2147484']],
  [/^--body-timeout must be a number of seconds above 0, at most 2147483, not "0"$/, ['--body-timeout', '0']],
  [/^--max-wait must be a number of seconds from 0 to 2147483, not "x"$/, ['--max-wait', 'x']],
  [/^--max-partial must be a whole number of bytes from 1 to 2\^53 - 1, .*, not "0"$/, ['--max-partial', '0']],
  [/^--durability must be one of sync, group, none, not "fsync"$/, ['--durability', 'fsync']],
  [/^--durability must be/, ['--durability', '']],
  [/^--max-partial must be/, ['--max-partial', '64MB']],
  [/^--max-partial must be/, ['--max-partial', '64mib']],
  [/^--max-partial must be/, ['--max-partial', '64 MiB']],
  [/^--max-partial must be/, ['--max-partial', '1.5MiB']],
  [/^--max-partial must be/, ['--max-partial', 'MiB']],
  [/^--max-partial must be/, ['--max-partial', '']],
  [/^--max-partial must be/, ['--max-partial', '9007199254740993']],
  [/^--max-partial must be/, ['--max-partial', '8192TiB']],
  [/^--max-digest-bytes must be 0, or a whole number of bytes .*, not "1GB"$/, ['--max-digest-bytes', '1GB']],
  [/^--max-bytes must be a whole number of bytes/, ['--max-bytes=-1']],
  [/^--write-token-file must be a path that is not empty, not ""$/, ['--write-token-file', '']],
  [/^--read-token-file must be/, ['--read-token-file', 'a\0b']],
  [/--writable/, ['--writable=yes']],
  [/'true'/, ['--writable', 'true']],
  [/^--drain must be a number of seconds from 0 to 2147483, not "x"$/, ['--drain', 'x']],
  [/^--log-level must be one of trace, .*, silent, not "loud"$/, ['--log-level', 'loud']],
];

for (const [message, argv] of wrongFlags) {
  test(`${JSON.stringify(argv).slice(0, 60)} is refused by name and rule`, () => refuses(message, argv));
}

test('a wrong variable is refused under its own name and its flag', () => {
  refuses(/^--max-hold \(from PAGERELAY_MAX_HOLD\) must be/, [], { PAGERELAY_MAX_HOLD: '0' });
  refuses(/^--region \(from PAGERELAY_REGION\) must be/, [], { PAGERELAY_REGION: 'a=/x,' });
});

const variables: readonly (readonly [text: string, isOn: boolean])[] = [
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
  ['', false],
];

for (const [text, writable] of variables) {
  test(`PAGERELAY_WRITABLE=${text} means ${writable}`, () => {
    assert.equal(optionsOf(['--dir', 'x'], { PAGERELAY_WRITABLE: text }).writable, writable);
  });
}

for (const [text, noExpress] of variables) {
  test(`PAGERELAY_NO_EXPRESS=${text} means ${noExpress}`, () => {
    assert.equal(optionsOf([], { PAGERELAY_NO_EXPRESS: text }).noExpress, noExpress);
  });
}

test('PAGERELAY_WRITABLE of anything else is refused', () => {
  const rule = /^--writable \(from PAGERELAY_WRITABLE\) must be 1, true, 0 or false, not "yes"$/;
  refuses(rule, ['--dir', 'x'], { PAGERELAY_WRITABLE: 'yes' });
});

test('writing without a folder is refused, wherever it was asked for', () => {
  const rule = /^--writable needs --dir: only a tree of regions can be written to$/;
  refuses(rule, ['--writable']);
  refuses(rule, ['--writable', '--region', 'a=/x', '--write-token-file', 'w']);
  refuses(rule, [], { PAGERELAY_WRITABLE: 'true' });
  refuses(rule, ['--config', configFile({ writable: true })]);
});

for (const host of ['127.0.0.1', '127.9.9.9', '::1', '0:0::1', 'localhost', 'LocalHost']) {
  test(`on ${host}, beside no one else, writing needs no tokens`, () => {
    assert.equal(optionsOf(['--dir', 'x', '--writable', '--host', host]).writable, true);
  });
}

for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org', 'localhost.example.org', 'app.localhost']) {
  test(`on ${host} writing needs a file of write tokens`, () => {
    const argv = ['--dir', 'x', '--writable', '--host', host];
    const rule = new RegExp(`^--writable on --host ${host}, beyond loopback, needs --write-token-file$`);
    refuses(rule, argv);
    refuses(rule, [...argv, '--read-token-file', 'r']);
    assert.equal(optionsOf([...argv, '--write-token-file', 'w']).writable, true);
    assert.equal(optionsOf(['--dir', 'x', '--host', host]).writable, false);
  });
}

for (const [places, open] of [
  [['127.0.0.1:1', 'localhost:2', '[::1]:3', 'unix:/run/a.sock'], undefined],
  [['127.0.0.1:1', '0.0.0.0:2'], '0.0.0.0:2'],
  [['fd:3'], 'fd:3'],
] as const) {
  test(`at ${places.join(' and ')} writing ${open ? 'needs a file of write tokens' : 'needs no tokens'}`, () => {
    const argv = ['--dir', 'x', '--writable', ...places.flatMap((place) => ['--listen', place])];
    const rule = new RegExp(`^--writable on --listen ${open}, beyond loopback, needs --write-token-file$`);
    if (open) refuses(rule, argv);
    assert.equal(optionsOf([...argv, ...(open ? ['--write-token-file', 'w'] : [])]).writable, true);
  });
}

test('at an address of --admin-listen beyond the loopback writing needs a file of write tokens, too', () => {
  const argv = ['--dir', 'x', '--writable', '--admin-listen'];
  refuses(/^--writable on --admin-listen 10\.0\.0\.1:9090, beyond loopback, needs/, [...argv, '10.0.0.1:9090']);
  assert.equal(optionsOf([...argv, '127.0.0.1:9090']).writable, true);
});

test('a listener takes headers of proxies where some are trusted', () => {
  const { listen } = optionsOf(['--listen', 'a:80,proxy'], { PAGERELAY_TRUSTED_PROXY: 'unix:' });
  assert.deepEqual(listen, [{ text: 'a:80,proxy', place: { host: 'a', port: 80 }, takesProxy: true }]);
});

test('of --listen and its short form the one counts that stands higher: flags, variables, the file', () => {
  const listen = { PAGERELAY_LISTEN: '127.0.0.1:1' };
  const short = optionsOf(['--port', '2'], listen);
  assert.deepEqual([short.port, short.listen], [2, []]);
  const long = optionsOf(['--listen', 'a:3', '--config', configFile({ host: '0.0.0.0' })], { PAGERELAY_PORT: '2' });
  assert.deepEqual([long.host, long.port, long.listen.length], ['127.0.0.1', 8080, 1]);
  refuses(/^--port \(from PAGERELAY_PORT\) is a short form/, [], { ...listen, PAGERELAY_PORT: '2' });
});

const wrongFiles: readonly (readonly [message: RegExp, content: unknown])[] = [
  [/unknown key "max-hold"; known are host, port,.*maxHold/, { 'max-hold': 1 }],
  [/unknown key "config"/, { config: 'a.json' }],
  [/unknown key "__proto__"/, '{"__proto__": {"port": 1}}'],
  [/^--port \(from "port" in .*\) must be a JSON number$/, { port: '80' }],
  [/^--port \(from "port" in .*\) must be a whole number/, { port: 80.5 }],
  [/^--port \(from "port" in .*\) must be a JSON number$/, { port: null }],
  [/^--host \(from "host" in .*\) must be a JSON string$/, { host: 1 }],
  [/^--region \(from "region" in .*\) must be an array of JSON strings$/, { region: 'a=/x' }],
  [/^--region \(from "region" in .*\) must be an array of JSON strings$/, { region: ['a=/x', 1] }],
  [/^--writable \(from "writable" in .*\) must be a JSON boolean$/, { writable: 1 }],
  [/^--writable \(from "writable" in .*\) must be a JSON boolean$/, { writable: 'true' }],
  [/^--no-express \(from "noExpress" in .*\) must be a JSON boolean$/, { noExpress: 1 }],
  [/^--copy-below \(from "copyBelow" in .*\) must be a JSON number or string$/, { copyBelow: false }],
  [/unknown key "express"/, { express: false }],
  [/^--max-partial \(from "maxPartial" in .*\) must be a JSON number or string$/, { maxPartial: true }],
  [/^--max-partial \(from "maxPartial" in .*\) must be a whole number of bytes/, { maxPartial: 1.5 }],
  [/^--unaskable \(from "unaskable" in .*\) must be an IPv4/, { unaskable: ['x'] }],
  [/^--config .* must hold one JSON object$/, []],
  [/^--config .* must hold one JSON object$/, 'null'],
  [/^--config .* must be a readable JSON file: /, '{"port": }'],
];

for (const [message, content] of wrongFiles) {
  test(`a file with ${JSON.stringify(content)} is refused`, () => {
    refuses(message, ['--config', configFile(content)]);
  });
}

test('an empty list in the file is an empty list', () => {
  assert.deepEqual(optionsOf(['--config', configFile({ region: [] })]).regions, []);
});

test('a file that cannot be read is a usage error with its cause', () => {
  const path = join(folder, 'missing.json');
  refuses(/^--config .*missing\.json must be a readable JSON file: ENOENT/, ['--config', path]);
  refuses(/^--config .* must be a readable JSON file: ENOENT/, ['--config', '']);
  assert.throws(
    () => parseServeOptions([], { PAGERELAY_CONFIG: path }),
    (error) => error instanceof UsageError && error.cause instanceof Error,
  );
});

test('every accepted address block fits a BlockList', () => {
  const blocks = ['0.0.0.0/0', '10.1.2.3/8', '1.2.3.4/32', '::/0', 'fd00::1/8', '::ffff:10.0.0.1/128'];
  const list = new BlockList();
  for (const { address, prefix, family } of optionsOf(blocks.flatMap((block) => ['--unaskable', block])).unaskable) {
    list.addSubnet(address, prefix, family);
  }
  assert.equal(list.rules.length, blocks.length);
});

test('usage text names every flag, its default and the other sources', () => {
  const text = usage();
  const names = [
    ...['host', 'port', 'dir', 'dotfiles', 'writable', 'write-token-file', 'read-token-file', 'region', 'engine'],
    ...[
      'no-express',
      'copy-below',
      'lanes',
      'unaskable',
      'max-hold',
      'break-holds',
      'body-timeout',
      'max-wait',
      'max-partial',
      'durability',
      'max-bytes',
      'drain',
      'log-level',
      'access-log',
      'access-log-format',
    ],
  ];
  for (const name of [...names, 'config', 'help', 'version']) {
    assert.match(text, new RegExp(`^  --${name}( [A-Z=]+)? {2,}\\S`, 'm'));
  }
  assert.match(text, /--port PORT .*default 8080/);
  assert.match(text, /--region NAME=PATH .*repeatable/);
  assert.match(text, /--writable {2,}.*default off/);
  assert.match(text, /--no-express {2,}.*default off/);
  assert.match(text, /--copy-below BYTES .*default 0/);
  assert.match(text, /--access-log PATH .*default -/);
  assert.match(text, /--access-log-format FORMAT .*default json/);
  assert.match(text, /PAGERELAY_MAX_HOLD/);
  assert.match(text, /maxHold/);
  assert.ok(text.endsWith('\n'));
});

test('the defaults that usage text shows are the ones in force', () => {
  const text = usage();
  const { host, port, engine, maxHold, breakHolds, maxWait, maxPartial, durability, drain, logLevel } = optionsOf([]);
  const inMiB = `${maxPartial / 2 ** 20}MiB`;
  const holds = { 'max-hold': maxHold, 'break-holds': breakHolds, 'max-wait': maxWait };
  const shown = { host, port, engine, ...holds, 'max-partial': inMiB, durability, drain, 'log-level': logLevel };
  for (const [flag, value] of Object.entries(shown)) {
    assert.match(text, new RegExp(`--${flag} .*\\(default ${value}\\)$`, 'm'));
  }
});
