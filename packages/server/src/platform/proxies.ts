import { isIP } from 'node:net';
import { StartupError } from './errors.ts';

const maxProxies = 32;

/**
 * Whose word counts for where a request comes from: TRIALKEEP_TRUSTED_PROXIES, IP addresses and networks (`10.1.2.0/24`) separated by commas. Requests
 * from one of these come from the last address in their `X-Forwarded-For` that is none of these; everybody else's come from where their connection does.
 *
 * @throws StartupError `server.proxies_invalid`
 */
export function readTrustedProxies(env: Readonly<Record<string, string | undefined>>): string[] {
  const { TRIALKEEP_TRUSTED_PROXIES: text = '' } = env;
  if (text === '') return [];
  const proxies = text.split(',');
  const isValid = proxies.length <= maxProxies && proxies.every(isAddressOrNetwork);
  if (!isValid) throw new StartupError('server.proxies_invalid');
  return proxies;
}

/** A network of everybody would let everybody name any address. */
function isAddressOrNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  return /^[1-9][0-9]{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
}

/** Where a request comes from, as proxies that are trusted say it; what is no address there is not taken over. */
export function sourceOf({
  ip,
  socket,
}: {
  ip: string;
  socket: { remoteAddress?: string | undefined };
}): string {
  return isIP(ip) === 0 ? (socket.remoteAddress ?? '') : ip;
}
