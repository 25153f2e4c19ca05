/** Many scrapes at the same time, over connections of their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fedOf } from '../support/lane-answers.ts';
import { patience } from '../support/limits.ts';
import { RawClient } from '../support/raw.ts';
import { makeFolder } from '../support/regions.ts';
import { type Running, startService } from '../support/service.ts';

const [clients, pipelined] = [50, 4];
const scrape = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Holds Node up until lanes have read the first request of every connection: Node gets them together. */
function gather(running: Running): void {
  const deadline = performance.now() + patience;
  while (fedOf(running) < clients) assert.ok(performance.now() < deadline, `${fedOf(running)} were read`);
}

test('scrapes on many connections share expositions, and each has the answers to those before it', async (t) => {
  const running = await startService(t, { dir: makeFolder(t, 'tmpfs') });
  const connections = await Promise.all(Array.from({ length: clients }, () => RawClient.connect(t, running.port)));
  const made = t.mock.method(running.service.app.pagerelay.metrics, 'families');
  for (const connection of connections) connection.write(scrape.repeat(pipelined));
  gather(running);
  for (const connection of connections) {
    for (let before = 0; before < pipelined; before++) {
      const { status, body } = await connection.response();
      assert.equal(status, 200);
      const line = /pagerelay_http_requests_total\{method="GET",status="200",engine="none"\} (\d+)/;
      const answered = Number(line.exec(body.toString())?.[1] ?? 0);
      assert.ok(answered >= before, `${answered} answers are told of behind ${before} on the same connection`);
    }
  }
  const expositions = made.mock.callCount();
  t.diagnostic(`${expositions} expositions for ${clients * pipelined} scrapes`);
  assert.ok(expositions >= pipelined);
  assert.ok(expositions <= clients * (pipelined - 1) + 1, `${expositions} expositions: the first are shared by all`);
});
