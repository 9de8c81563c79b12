import { StartupError } from '../../platform/errors.ts';

const maxHosts = 32;
const hostPattern = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])$/;
/** How a machine calls itself. */
const ownNames = ['localhost', '127.0.0.1', '[::1]'];

/**
 * The names under which the AWS KMS protocol is served, without ports: TRIALKEEP_AWS_KMS_HOSTS, separated by commas; unless it is set, those of
 * this machine for itself and the address that the server listens on. A request that is signed for another host was made for another server.
 *
 * @param listened the host that the server listens on
 * @throws StartupError `server.aws_kms_hosts_invalid`
 */
export function readAwsKmsHosts(
  env: Readonly<Record<string, string | undefined>>,
  listened: string,
): ReadonlySet<string> {
  const { TRIALKEEP_AWS_KMS_HOSTS: text = '' } = env;
  if (text === '') {
    const own = listened.includes(':') && !listened.startsWith('[') ? `[${listened}]` : listened;
    return new Set([...ownNames, own.toLowerCase()]);
  }
  const hosts = text.toLowerCase().split(',');
  if (hosts.length > maxHosts || !hosts.every((host) => hostPattern.test(host))) {
    throw new StartupError('server.aws_kms_hosts_invalid');
  }
  return new Set(hosts);
}

/** Whether a Host header names one of them, at whatever port: proxies have their own (RFC 9110 section 7.2). */
export function isServedHost(hosts: ReadonlySet<string>, header: string): boolean {
  return hosts.has(header.toLowerCase().replace(/:[0-9]{1,5}$/, ''));
}
