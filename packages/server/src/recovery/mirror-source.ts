import { createHash } from 'node:crypto';
import type { LogSource } from '@trialkeep/ledger';
import { StartupError } from '../platform/errors.ts';
import { askOutside, isPrivateUrl } from '../platform/outward.ts';

/** Where a mirror serves its copies (C2SP tlog-mirror, monitoring prefix), and what it asks readers for. */
export interface MirrorAddress {
  readonly url: URL;
  /** Bearer token; secret. */
  readonly token: string | undefined;
}

const requestMs = 30_000;

/** @throws StartupError `mirror.address` for what is no monitoring prefix, or would send the token in clear */
export function mirrorAddress(text: string, token: string | undefined): MirrorAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === undefined || !isPlain || !isPrivateUrl(url)) throw new StartupError('mirror.address');
  return { url, token };
}

/**
 * The mirror's copy of a log.
 *
 * @throws StartupError `mirror.unreachable` from its reads
 */
export function mirrorSource({ url, token }: MirrorAddress, origin: string): LogSource {
  const hash = createHash('sha256').update(origin).digest('hex');
  const prefix = `${url.href.replace(/\/$/, '')}/${hash}`;
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    read: async (path, maxBytes) => {
      let answer;
      try {
        const request = { method: 'GET', url: `${prefix}/${path}`, headers, timeoutMs: requestMs } as const;
        answer = await askOutside({ ...request, maxBytes });
      } catch (error) {
        throw new StartupError('mirror.unreachable', (error as Error).message, error);
      }
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw new StartupError('mirror.unreachable', `It answers ${answer.status}.`);
      return answer.body;
    },
  };
}
