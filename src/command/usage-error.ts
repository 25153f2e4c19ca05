/** A command line, environment variable or configuration file that breaks a rule; the message names both. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
