import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CryptoError, parseCertificates } from '@trialkeep/crypto';
import type { Certificate } from '@trialkeep/crypto';
import type { TimestampConfiguration } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';

/** A time-stamping authority that is asked. */
export interface Authority {
  readonly url: string;
  readonly roots: readonly Certificate[];
  readonly policy: string | undefined;
}

/** The configuration of trusted time, read and checked. */
export interface TimestampSettings {
  /** In the order in which they are asked; none: nothing is stamped. */
  readonly authorities: readonly Authority[];
  readonly intervalMs: number;
  readonly maxDriftMs: number;
}

const hourMs = 3_600_000;
const usual = { intervalHours: 24, maxDriftSeconds: 5 } as const;

/**
 * Reads what the configuration names.
 *
 * @param directory what relative paths start from
 * @throws StartupError `config.invalid` where a URL is not private, or roots cannot be read
 */
export function readSettings(
  configuration: TimestampConfiguration | undefined,
  directory: string,
): TimestampSettings {
  const {
    authorities = [],
    intervalHours = usual.intervalHours,
    maxDriftSeconds = usual.maxDriftSeconds,
  } = configuration ?? {};
  return {
    authorities: authorities.map(({ url, roots, policy }, i) => {
      const field = `/timestamps/authorities/${i}`;
      return {
        url: checkedUrl(url, `${field}/url`),
        roots: readRoots(resolve(directory, roots), `${field}/roots`),
        policy,
      };
    }),
    intervalMs: intervalHours * hourMs,
    maxDriftMs: maxDriftSeconds * 1000,
  };
}

/** Over https, or on this machine; without anything in it that could be a secret. */
function checkedUrl(text: string, field: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw invalid(field, 'It is no URL.');
  const isLoopback =
    ['localhost', '[::1]'].includes(url.hostname) || /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
  const isPrivate = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback);
  if (!isPrivate) throw invalid(field, 'Only https is used, and http on this machine.');
  if (url.username !== '' || url.password !== '') throw invalid(field, 'It holds a login.');
  return url.href;
}

function readRoots(file: string, field: string): Certificate[] {
  try {
    return parseCertificates(readFileSync(file, 'utf8'));
  } catch (error) {
    throw invalid(field, error instanceof CryptoError ? error.message : `${file} cannot be read.`, error);
  }
}

function invalid(field: string, why: string, cause?: unknown): StartupError {
  return new StartupError('config.invalid', `${field}: ${why}`, cause);
}
