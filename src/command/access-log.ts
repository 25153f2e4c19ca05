/** The access log that a command line asks for. @module */
import { AccessLog } from '../observe/access-log.ts';
import { LogOutput } from '../observe/log-output.ts';
import type { ServeOptions } from './options.ts';
import { output, outputs } from './streams.ts';

/** An access log; `path` is undefined on standard output. */
export type OpenAccessLog = { readonly log: AccessLog; readonly path: string | undefined };

// On standard output lines stand among messages, and are of this level.
const levelsWithRequests: readonly ServeOptions['logLevel'][] = ['trace', 'debug', 'info'];

/** Opens it; undefined where there is to be none. @throws Error with a `code` when its file can't be opened */
export function openAccessLog({ accessLog, accessLogFormat, logLevel }: ServeOptions): OpenAccessLog | undefined {
  if (accessLog === 'off') return undefined;
  if (accessLog !== '-') {
    const file = LogOutput.toFile(accessLog);
    outputs.add(file);
    return { log: new AccessLog(file, accessLogFormat), path: accessLog };
  }
  return levelsWithRequests.includes(logLevel)
    ? { log: new AccessLog(output, accessLogFormat), path: undefined }
    : undefined;
}
