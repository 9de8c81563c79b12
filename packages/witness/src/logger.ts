import type { FastifyBaseLogger } from 'fastify';
import { pino } from 'pino';

export type Logger = FastifyBaseLogger;

/** The log of the process: JSON lines on standard error. Entries of logs and secrets never go into it. */
export function createLogger(): Logger {
  const level = process.env['TRIALKEEP_LOG_LEVEL'] ?? 'info';
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}
