/** Sockets that a manager such as systemd has opened for the service (sd_listen_fds(3)). @module */
import type { ListenAt } from '../node/listeners.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the first of them is. */
const firstDescriptor = 3;

/** The name of those for who watches the service, as `--admin-listen` has them; any other is for everybody. */
const adminName = 'admin';

/**
 * The sockets that were opened for this process, as places to listen at; none where there is no manager that does so.
 *
 * @param isSuccessor whether this process takes the place of the one that they were opened for, and has them from that
 */
export function activatedPlaces(env: Environment, pid: number, isSuccessor: boolean): ListenAt[] {
  const count = Number(env.LISTEN_FDS);
  const isForUs = isSuccessor || env.LISTEN_PID === String(pid);
  if (!isForUs || !Number.isSafeInteger(count) || count <= 0) return [];
  const names = (env.LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: count }, (_, index) => {
    const fd = firstDescriptor + index;
    const isAdmin = names[index] === adminName;
    return { place: { fd }, text: `fd:${fd}`, ...(isAdmin && { isAdmin }) };
  });
}
