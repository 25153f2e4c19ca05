/** Has a Node process collect its garbage, through its inspector: memory then is what it holds. @module */
import { WebSocket } from 'undici';

/** What a Node process is started with for that. */
export function inspectorFlag(port: number): string {
  return `--inspect=127.0.0.1:${port}`;
}

const answerMilliseconds = 20_000;

/** @throws Error when the process does not answer */
export async function collectGarbage(inspectorPort: number): Promise<void> {
  const list = await fetch(`http://127.0.0.1:${inspectorPort}/json/list`, {
    signal: AbortSignal.timeout(answerMilliseconds),
  });
  const [target] = (await list.json()) as { webSocketDebuggerUrl: string }[];
  if (!target) throw new Error('a Node process has nothing to inspect');
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  try {
    await told(socket, 'open');
    socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
    await told(socket, 'message');
  } finally {
    socket.close();
  }
}

function told(socket: WebSocket, event: 'open' | 'message'): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the inspector said nothing for ${answerMilliseconds} ms`)),
      answerMilliseconds,
    );
    const settle = (then: () => void) => () => {
      clearTimeout(timer);
      then();
    };
    socket.addEventListener(event, settle(resolve), { once: true });
    socket.addEventListener(
      'error',
      settle(() => reject(new Error('the inspector broke off'))),
      { once: true },
    );
  });
}
