/** A service that is restarted without a gap: a chain of processes, each of which takes the place of the one before. @module */
import { until } from './poll.ts';
import { type Child, cliCommand, originOf, start } from './process.ts';
import type { Scope } from './scope.ts';

/** The processes, which share one standard output and one standard error. */
export class Restarts {
  readonly child: Child;
  readonly origin: string;
  readonly port: number;

  private constructor(child: Child, origin: string) {
    this.child = child;
    this.origin = origin;
    this.port = Number(new URL(origin).port);
  }

  /** Starts the first one. All end with the test. @param by a program that runs it */
  static async start(
    scope: Scope,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    by: readonly string[] = [],
  ): Promise<Restarts> {
    const [program = '', ...command] = [...by, ...cliCommand(['serve', '--port', '0', '--access-log', 'off', ...args])];
    const child = start(scope, program, command, env);
    const restarts = new Restarts(child, await originOf(child));
    scope.after(() => restarts.kill());
    return restarts;
  }

  /** The ids of all processes so far, the one that answers last. */
  get pids(): number[] {
    const later = this.messages('another process has taken the place').map(({ by }) => Number(by));
    return [Number(this.child.process.pid), ...later];
  }

  get pid(): number {
    return this.pids.at(-1) ?? 0;
  }

  /** What the log says, of messages that begin so. */
  messages(beginning: string): Record<string, unknown>[] {
    const lines = this.child.stdout().split('\n').slice(0, -1);
    const all = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
    return all.filter(({ msg }) => String(msg).startsWith(beginning));
  }

  /** Asks for another process, and resolves when it answers. */
  async restart(): Promise<void> {
    const listening = () => this.child.stderr().split('pagerelay listens on').length;
    const [before, count] = [this.pids.length, listening()];
    process.kill(this.pid, 'SIGUSR2');
    const isThere = () => this.pids.length > before && listening() > count;
    await until(isThere, 'another process is there', () => this.child.stdout().slice(-2000));
  }

  /** Ends the one that answers, and resolves to how the first one ended when all have. */
  async end(): ReturnType<() => Child['exited']> {
    process.kill(this.pid, 'SIGTERM');
    return this.child.exited;
  }

  kill(): void {
    for (const pid of this.pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  }
}
