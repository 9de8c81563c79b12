import { DatabaseError } from '../database-error.ts';

/** SQLSTATEs of the standard for what happens to a connection. */
export const connectionRefused = '08004';
export const connectionLost = '08006';
export const outcomeUnknown = '08007';

interface ServerMessage {
  readonly message: string;
  readonly code: string;
  readonly severity: string;
}

/** Whether the server itself answered with this error; otherwise it is the socket's or the driver's. */
function isServerMessage(error: unknown): error is ServerMessage {
  const { code, severity } = error as Partial<ServerMessage>;
  return typeof severity === 'string' && typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code);
}

/**
 * Whether an error leaves the connection in order: the server refused the statement and goes on. FATAL and PANIC end the
 * session; what is not the server's is the connection's. Errors of the disk count as the end as well: they can be a PANIC,
 * after which a commit may turn out to have happened, and the severity says so only in the server's language.
 */
export function leavesConnection(error: unknown): boolean {
  return isServerMessage(error) && !/^(08|53100|57P|58|XX)/.test(error.code) && error.code !== '25P03';
}

/**
 * Whether a prepared statement no longer fits its tables, as after the migration of a newer node. It was not executed; a new
 * connection prepares it again.
 */
export function isOutdated(error: unknown): boolean {
  return isServerMessage(error) && error.code === '0A000';
}

/**
 * The server's error without what may hold values of rows or parameters: its detail, its context, the driver's own object,
 * and the text of data exceptions (class 22), which quote the value.
 */
export function failureOf(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  if (!isServerMessage(error)) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    return new DatabaseError(`The connection to PostgreSQL failed: ${reason}`, connectionLost);
  }
  const text = error.code.startsWith('22') ? 'a value that it does not take' : error.message;
  return new DatabaseError(`PostgreSQL: ${text} (${error.code})`, error.code);
}

/** The outcome of a COMMIT that did not come back, or came back with a warning. */
export function unconfirmed(reason: string): DatabaseError {
  return new DatabaseError(`Whether PostgreSQL has committed is unknown: ${reason}`, outcomeUnknown);
}
