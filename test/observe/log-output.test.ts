import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Descriptor, Written } from '../../src/observe/descriptor.ts';
import { LogOutput } from '../../src/observe/log-output.ts';
import { until } from '../support/poll.ts';

const newline = '\n';

/** A descriptor that takes what it is told to, and writes when it is told to. */
class Scripted implements Descriptor {
  readonly holdsExit = true;
  text = '';
  #answer: ((limit: number, error: string | undefined) => void) | undefined;

  write(bytes: Uint8Array): Promise<Written> {
    const { promise, resolve } = Promise.withResolvers<Written>();
    this.#answer = (limit, error) => {
      const taken = bytes.subarray(0, limit);
      this.text += Buffer.from(taken).toString();
      resolve({ bytes: taken.length, error });
    };
    return promise;
  }

  reopen(): void {
    this.text = '';
  }

  /** Ends the write that is under way, once there is one. */
  async end(limit = Number.POSITIVE_INFINITY, error?: string): Promise<void> {
    await until(() => this.#answer !== undefined, 'a write');
    this.#answer?.(limit, error);
    this.#answer = undefined;
  }
}

function scripted(): { descriptor: Scripted; output: LogOutput; told: number[] } {
  const descriptor = new Scripted();
  const output = new LogOutput(descriptor);
  const told: number[] = [];
  output.onRecovery = (lines) => told.push(lines);
  return { descriptor, output, told };
}

test('lines of one turn are one piece, and those that come meanwhile are the next', async () => {
  const { descriptor, output, told } = scripted();
  output.write(`1${newline}`);
  output.write(`2${newline}`);
  const first = descriptor.end();
  await first;
  output.write(`3${newline}`);
  assert.equal(descriptor.text, '1\n2\n');
  await descriptor.end();
  await output.flush(1e6);
  assert.deepEqual([descriptor.text, output.lost, output.isIdle, output.holdsExit], ['1\n2\n3\n', 0, true, false]);
  assert.deepEqual(told, []);
});

test('lines that an error cuts off are lost, and the next begins on a line of its own', async () => {
  const { descriptor, output, told } = scripted();
  for (const line of ['one', 'two', 'three']) output.write(`${line}${newline}`);
  await descriptor.end(6, 'ENOSPC');
  await output.flush(1e6);
  assert.deepEqual([output.lost, descriptor.text], [2, 'one\ntw']);
  output.write(`four${newline}`);
  await descriptor.end(0, 'ENOSPC');
  await output.flush(1e6);
  output.write(`five${newline}`);
  await descriptor.end();
  await output.flush(1e6);
  assert.deepEqual([output.lost, descriptor.text], [3, 'one\ntw\nfive\n']);
  assert.deepEqual(told, [3], 'told once, when it can be written again');
});

test('beyond a mebibyte lines are lost, and nobody waits', async () => {
  const { descriptor, output, told } = scripted();
  const line = `${'x'.repeat(1023)}${newline}`;
  for (let count = 0; count < 1500; count++) output.write(line);
  assert.equal(output.lost, 1500 - 1024);
  await output.flush(1);
  assert.deepEqual([output.isIdle, output.holdsExit], [false, true]);
  await descriptor.end();
  await output.flush(1e6);
  assert.equal(descriptor.text.length, 1 << 20);
  assert.deepEqual(told, [1500 - 1024]);
});
