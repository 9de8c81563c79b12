import { StartupError } from '../errors.ts';
import { isPrivateUrl } from '../outward.ts';

/** Where traces go, and how many of the requests are traced. */
export interface TraceSettings {
  /** Where spans are posted to: OTLP/HTTP with JSON. */
  readonly url: string;
  /** From above 0 to 1. */
  readonly ratio: number;
}

const maxUrlLength = 500;
const usualRatio = 0.1;

/**
 * What TRIALKEEP_TRACES_URL and TRIALKEEP_TRACES_RATIO say: the base URL of an OTLP/HTTP receiver, to which `/v1/traces` is added, and a share
 * of the requests from above 0 to 1, a tenth unless it is set. Undefined where no traces are wanted.
 *
 * @throws StartupError `traces.settings_invalid`
 */
export function readTraceSettings(
  env: Readonly<Record<string, string | undefined>>,
): TraceSettings | undefined {
  const { TRIALKEEP_TRACES_URL: base = '', TRIALKEEP_TRACES_RATIO: share } = env;
  if (base === '') return undefined;
  const url = base.length <= maxUrlLength && URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !isPrivateUrl(url) || hasMore(url)) {
    throw new StartupError('traces.settings_invalid', 'TRIALKEEP_TRACES_URL is not an address for traces.');
  }
  const ratio = share === undefined ? usualRatio : Number(/^(?:1|0?\.[0-9]{1,9})$/.exec(share)?.[0]);
  if (!(ratio > 0)) {
    throw new StartupError(
      'traces.settings_invalid',
      'TRIALKEEP_TRACES_RATIO is not a share of the requests.',
    );
  }
  return { url: `${url.href.replace(/\/$/, '')}/v1/traces`, ratio };
}

/** A credential in a URL would be logged, and what follows the path would end up in the middle. */
function hasMore({ username, password, search, hash }: URL): boolean {
  return [username, password, search, hash].some((part) => part !== '');
}
