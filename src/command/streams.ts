/** Standard output and standard error of a process that serves on whatever becomes of them. @module */
import { LogOutput } from '../observe/log-output.ts';

/** Standard output. */
export const output = LogOutput.to(1);

/** Standard error. */
export const errors = LogOutput.to(2);

/** All that the process writes lines to. */
export const outputs = new Set([output, errors]);

// What others print (command/process-setup.ts).
process.stdout.on('data', (chunk: Buffer) => output.write(chunk));
process.stderr.on('data', (chunk: Buffer) => errors.write(chunk));
