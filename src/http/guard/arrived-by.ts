/** By which listener a connection has come, where that matters to who may ask for what. @module */

/** What a listener is to those who come by it. */
export type ArrivedBy = {
  /** Whether it listens at an address of the loopback alone. */
  readonly isLoopback: boolean;
  /** Whether all is served there; else regions and health alone, for the rest has listeners of its own. */
  readonly servesAll: boolean;
};

const listeners = new WeakMap<object, ArrivedBy>();

/** Notes by which listener a socket has come. */
export function noteArrival(socket: object, listener: ArrivedBy): void {
  listeners.set(socket, listener);
}

/** By which listener a socket has come; undefined where nobody has said, as in an application that has the plugin. */
export function arrivedBy(socket: object): ArrivedBy | undefined {
  return listeners.get(socket);
}
