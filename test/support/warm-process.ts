import { warmUp } from './holds.ts';
import { makeFolder, writeRegion } from './regions.ts';
import { startService } from './service.ts';

/** Starts and closes a service: what a process opens once and keeps is open before anything is counted. */
export async function warmProcess(): Promise<void> {
  const cleanUps: (() => unknown)[] = [];
  const scope = { after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) };
  const file = writeRegion(makeFolder(scope, 'tmpfs'), 'file.bin', 100_000);
  const running = await startService(scope, { regions: [file] });
  await warmUp(scope, running, 'file.bin');
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
}
