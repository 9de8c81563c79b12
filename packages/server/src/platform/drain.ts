import { StartupError } from './errors.ts';

const maxSeconds = 300;

/**
 * How long a server that is told to stop goes on answering while it says that it is not ready, ms: TRIALKEEP_DRAIN_SECONDS, 0 unless it is set.
 *
 * @throws StartupError `server.drain_invalid`
 */
export function readDrainMs(env: Readonly<Record<string, string | undefined>>): number {
  const { TRIALKEEP_DRAIN_SECONDS: text = '0' } = env;
  const seconds = /^[0-9]{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds <= maxSeconds)) throw new StartupError('server.drain_invalid', text);
  return seconds * 1000;
}
