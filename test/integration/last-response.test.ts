/** What a client goes on sending after the last response of its connection is nobody's to answer. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connectionsOf } from '../support/holds.ts';
import { writeInPieces } from '../support/lane-answers.ts';
import { until } from '../support/poll.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder, seededBytes, writeRegion } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const size = 30_000;
const path = '/regions/file.bin';

const last: Readonly<Record<string, string>> = {
  'a request that asks for the end': `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
  'a request without Host': `GET ${path} HTTP/1.1\r\n\r\n`,
};

const next = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-9\r\n\r\n`;
const late: Readonly<Record<string, string>> = {
  'a request for a region': next,
  'a request without a route': 'GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'a request that can not be routed': 'GET /regions/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'an expectation': `GET ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\n\r\n`,
  'what is no request': 'x\r\n\r\n',
};

async function start(t: TestContext, express: boolean): Promise<Running> {
  const file = writeRegion(makeFolder(t, 'tmpfs'), 'file.bin', size, 81);
  return startService(t, { engine: 'sendfile', express, regions: [file] });
}

for (const express of [false, true]) {
  test(`requests behind the last response are dropped, ${express ? 'with' : 'without'} express`, async (t) => {
    const running = await start(t, express);
    for (const [what, ending] of Object.entries(last)) {
      for (const [then, text] of Object.entries(late)) {
        await t.test(`${then} behind ${what}`, async (t) => {
          const client = await RawClient.connect(t, running.port);
          client.socket.setNoDelay();
          const { complete } = running.service.relay.counters().transmissions.sendfile;
          client.get(path);
          // The reader has not read, so the end of the connection waits. Node has parsed all but the last byte.
          await writeInPieces(client, [ending + next + text.slice(0, -1)]);
          const isSent = () => running.service.relay.counters().transmissions.sendfile.complete > complete;
          await until(isSent, 'a response has gone out');
          await writeInPieces(client, [text.slice(-1), next, next]);
          const { status, body } = await client.response();
          assert.deepEqual([status, body.equals(seededBytes(size, 81))], [200, true]);
          assert.equal((await client.response()).fields.get('connection'), 'close');
          assert.equal((await client.rest()).bytes, 0);
          client.destroy();
          await until(async () => (await connectionsOf(running)) === 0, 'the connection is closed');
        });
      }
    }
    assert.equal((await running.service.app.inject('/healthz')).statusCode, 200);
  });
}
