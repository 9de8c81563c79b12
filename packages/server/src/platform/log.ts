import type { FastifyBaseLogger } from 'fastify';
import { pino } from 'pino';

export type ServerLogger = FastifyBaseLogger;

/** The server's own log: JSON lines on standard error. What callers send never goes into it. */
export function createLogger(): ServerLogger {
  const level = process.env['TRIALKEEP_LOG_LEVEL'] ?? 'info';
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}
