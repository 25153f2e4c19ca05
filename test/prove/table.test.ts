import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Proof, Result } from '../../src/prove/result.ts';
import { describeProof, table } from '../../src/prove/table.ts';
import { refusalsOf } from '../../src/relay/refused.ts';

const measured = {
  bytes: 1_000_000_000,
  copiedBytes: 0,
  cpuSecondsPerGB: 0.2004,
  gigabytesPerSecond: 4.567,
  sendsPerMB: 4.11,
};
const sendfile: Result = {
  backing: 'tmpfs',
  where: '/dev/shm',
  engine: 'sendfile',
  copyFree: true,
  refused: null,
  notice: null,
  done: 'read by the peer',
  used: true,
  measured,
};
const zerocopy: Result = {
  ...sendfile,
  engine: 'zerocopy',
  copyFree: false,
  notice: 'copied',
  done: 'notice',
  used: false,
  measured: { ...measured, copiedBytes: 1_000_000_000, sendsPerMB: 17 },
};
const refused: Result = {
  ...sendfile,
  backing: 'hugetlb',
  where: 'hugetlb',
  copyFree: null,
  refused: 'EINVAL',
  used: false,
  measured: null,
};
const proof: Proof = {
  date: '2026-01-02T03:04:05.678Z',
  kernel: 'Linux 6.18.44 x86_64',
  node: 'v24.0.0',
  pagerelay: '1.2.3',
  processor: '2 × a processor',
  configured: 'auto',
  results: [sendfile, zerocopy, refused],
  backings: [],
  absent: [],
  refused: [],
  claims: [{ claim: 'a claim', met: true, because: 'it is so' }],
  conclusion: 'On this machine it is so.',
};

test('a row tells the backing, the engine, what was seen and what it cost', () => {
  assert.deepEqual(table([sendfile, zerocopy, refused]), [
    'backing         engine      copy-free  kernel says  copied  CPU s/GB  GB/s  sends/MB  done when',
    'tmpfs /dev/shm  > sendfile  yes                        0 %     0.200  4.57       4.1  read by the peer',
    'tmpfs /dev/shm    zerocopy  no         copied        100 %     0.200  4.57      17.0  notice',
    'hugetlb           sendfile  EINVAL                                                    it can not send',
  ]);
});

test('what nobody saw is shown as such', () => {
  const [, row = ''] = table([{ ...sendfile, copyFree: null }]);
  assert.match(row, /> sendfile {2}not seen +0 % /);
});

test('calls that are refused are told with what they cost and the way out', () => {
  const refused = refusalsOf({ vmsplice: 'EPERM', AF_NETLINK: 'ENOSYS' });
  const lines = describeProof({ ...proof, refused })
    .split('\n')
    .filter((line) => line.startsWith('REFUSED: '));
  assert.equal(lines.length, 2);
  assert.match(
    lines[0] ?? '',
    /^REFUSED: vmsplice is refused \(EPERM\): huge pages and DAX are copied; .*; allow it: /,
  );
  assert.match(lines[1] ?? '', /^REFUSED: AF_NETLINK is refused \(ENOSYS\): .* every peer gets copies; allow sockets/);
});

test('the text begins with the circumstances and ends with the sentence', () => {
  const text = describeProof(proof);
  assert.match(text, /^pagerelay 1\.2\.3 on Linux 6\.18\.44 x86_64, Node v24\.0\.0, 2 × a processor, 2026-01-02T03:04/);
  assert.match(text, /; --engine auto\n\nbacking /);
  assert.match(text, /\nOn this machine it is so\.\n$/);
  assert.doesNotMatch(text, /NOT MET|Not here|a claim/);
});

test('each backing that can be overwritten has a line with the means', () => {
  const choice = {
    backing: 'pagecache',
    where: '/tmp',
    engine: 'sendfile',
    copyFree: true,
    because: 'it was seen',
  } as const;
  const overwrites = { backing: 'pagecache', means: 'direct', because: 'a reason' } as const;
  const memfd = { ...choice, backing: 'memfd', where: 'memfd', overwrites: null } as const;
  const text = describeProof({ ...proof, backings: [{ ...choice, overwrites }, memfd] });
  assert.match(
    text,
    /\nOverwritten in place: pagecache \/tmp by the means 'direct' \(a reason\)\nOn this machine it is so/,
  );
});

test('what is not there, and what is not met, stands before the sentence', () => {
  const text = describeProof({
    ...proof,
    absent: [{ backing: 'hugetlb', why: 'no huge pages are free', asked: false }],
    claims: [...proof.claims, { claim: 'another claim', met: false, because: 'it copies' }],
  });
  assert.match(
    text,
    /\nNot here: hugetlb \(no huge pages are free\)\nNOT MET: another claim \(it copies\)\nOn this machine it is so\.\n$/,
  );
});
