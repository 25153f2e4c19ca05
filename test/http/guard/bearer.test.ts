import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type TokenChange, TokenFileError, Tokens } from '../../../src/http/guard/bearer.ts';

function fileWith(t: TestContext, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'pagerelay-bearer-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'tokens');
  writeFileSync(path, content);
  return path;
}

function replace(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

function tokensOf(t: TestContext, path: string): Tokens {
  const tokens = Tokens.fromFile(path);
  t.after(() => tokens.close());
  return tokens;
}

function nextChange(tokens: Tokens): Promise<TokenChange> {
  return new Promise((resolve) => tokens.onChange(resolve));
}

const accepted = ['Bearer one', 'bearer one', 'BEARER  one', 'Bearer two.2_~+/-==', 'Bearer three'];
const refused = [
  undefined,
  '',
  'Bearer',
  'Bearer ',
  'Bearer on',
  'Bearer onee',
  'Bearer One',
  'Bearer one two',
  'Bearer one ',
  'Bearer\tone',
  'Bearerone',
  ' Bearer one',
  'Bearer "one"',
  'Bearer # no token',
  'Bearer #comment',
  'Basic one',
  'one',
  'Bearer two.2_~+/-',
];

test('each token of the file is accepted, under a scheme in any case (RFC 6750 2.1)', (t) => {
  const tokens = tokensOf(t, fileWith(t, '# no token\none\n\n  \ntwo.2_~+/-==\r\nthree\n#comment'));
  for (const authorization of accepted) assert.equal(tokens.accepts(authorization), true, authorization);
  for (const authorization of refused) assert.equal(tokens.accepts(authorization), false, authorization);
});

const unusable: readonly (readonly [what: string, content: string])[] = [
  ['nothing', ''],
  ['blank lines', '\n \n'],
  ['comments', '# secret\n'],
  ['a space before a token', ' secret'],
  ['a space inside a token', 'secret secret'],
  ['= inside a token', 'secret=secret'],
  ['only =', '='],
  ['one token that is none', 'good\nsecret!\n'],
  ['a byte order mark', '\ufeffsecret'],
];

for (const [what, content] of unusable) {
  test(`a file with ${what} is refused by its name and the rule, never a token`, (t) => {
    const path = fileWith(t, content);
    assert.throws(
      () => Tokens.fromFile(path),
      (error) => {
        assert.ok(error instanceof TokenFileError);
        assert.ok(error.message.startsWith(`${path} must hold at least one bearer token`));
        assert.doesNotMatch(error.message, /secret|good/);
        return true;
      },
    );
  });
}

test('a file that is missing, or a folder, is refused by its name and the reason', (t) => {
  const path = fileWith(t, '');
  const refuses = (message: RegExp, file: string) =>
    assert.throws(
      () => Tokens.fromFile(file),
      (error) => error instanceof TokenFileError && message.test(error.message) && error.message.startsWith(file),
    );
  refuses(/can not be read: ENOENT/, `${path}.missing`);
  refuses(/can not be read: EISDIR/, join(path, '..'));
});

test('tokens that a new file lacks are refused from then on, and those it adds are accepted', async (t) => {
  const path = fileWith(t, 'old\nkept\n');
  const tokens = tokensOf(t, path);
  writeFileSync(path, 'kept\nnew\n');
  await tokens.reload();
  const known = ['old', 'kept', 'new'].filter((token) => tokens.accepts(`Bearer ${token}`));
  assert.deepEqual(known, ['kept', 'new']);
});

test('no token is valid when the file is gone, is empty or breaks the rule, until it is good again', async (t) => {
  const path = fileWith(t, 'one');
  const tokens = tokensOf(t, path);
  const changes: TokenChange[] = [];
  tokens.onChange((change) => changes.push(change));
  const broken = [() => rmSync(path), () => writeFileSync(path, ''), () => writeFileSync(path, 'one\nnot one')];
  for (const breakIt of broken) {
    breakIt();
    await tokens.reload();
    assert.equal(tokens.accepts('Bearer one'), false);
    writeFileSync(path, 'one');
    await tokens.reload();
    assert.equal(tokens.accepts('Bearer one'), true);
  }
  assert.deepEqual(
    changes.map(({ error }) => error?.name),
    ['TokenFileError', undefined, 'TokenFileError', undefined, 'TokenFileError', undefined],
  );
});

const ways: readonly (readonly [how: string, change: (path: string) => void, tokenThen: string | undefined])[] = [
  ['is written again', (path) => writeFileSync(path, 'second'), 'second'],
  ['is replaced', (path) => replace(path, 'other'), 'other'],
  ['is deleted', (path) => rmSync(path), undefined],
];

for (const [how, change, tokenThen] of ways) {
  test(`a file that ${how} is noticed without being asked`, async (t) => {
    const path = fileWith(t, 'first');
    const tokens = tokensOf(t, path);
    const changed = nextChange(tokens);
    // The timer alone would let the process end.
    const busy = setInterval(() => {}, 1000);
    t.after(() => clearInterval(busy));
    change(path);
    assert.equal((await changed).error === undefined, tokenThen !== undefined);
    assert.equal(tokens.accepts('Bearer first'), false);
    assert.equal(tokens.accepts(`Bearer ${tokenThen}`), tokenThen !== undefined);
  });
}

test('a file that comes back as it was is read again without being asked', async (t) => {
  const path = fileWith(t, 'one');
  const tokens = tokensOf(t, path);
  renameSync(path, `${path}.away`);
  await tokens.reload();
  assert.equal(tokens.accepts('Bearer one'), false);
  const mended = nextChange(tokens);
  const busy = setInterval(() => {}, 1000);
  t.after(() => clearInterval(busy));
  renameSync(`${path}.away`, path);
  assert.deepEqual(await mended, {});
  assert.equal(tokens.accepts('Bearer one'), true);
});

test('a file that stays as it is, or stays away, is told of once', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const path = fileWith(t, 'one');
  const tokens = tokensOf(t, path);
  rmSync(path);
  const changes: TokenChange[] = [];
  const gone = nextChange(tokens);
  tokens.onChange((change) => changes.push(change));
  t.mock.timers.tick(1000);
  await gone;
  for (let look = 0; look < 3; look++) {
    t.mock.timers.tick(1000);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(changes.length, 1);
});

/** Root may read everything: for so long this process is somebody else, to whom the file belongs. */
async function asOwnerOf(path: string, act: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return act();
  const nobody = 65_534;
  chownSync(path, nobody, nobody);
  chmodSync(dirname(path), 0o755);
  process.seteuid?.(nobody);
  try {
    await act();
  } finally {
    process.seteuid?.(0);
  }
}

test('a file whose permission is taken away is noticed, though its content is the same', async (t) => {
  const path = fileWith(t, 'one');
  await asOwnerOf(path, async () => {
    const tokens = tokensOf(t, path);
    const changed = nextChange(tokens);
    chmodSync(path, 0);
    assert.match(String((await changed).error), /EACCES/);
    assert.equal(tokens.accepts('Bearer one'), false);
  });
});
