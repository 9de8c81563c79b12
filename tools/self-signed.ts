/** A key and a certificate that signs itself, for tests of TLS, made by OpenSSL. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Why tests that need OpenSSL are skipped here. */
export const opensslMissing: string | false =
  spawnSync('openssl', ['version']).error !== undefined &&
  'openssl is not installed: run tools/test-services.sh.';

/** The PEM files of a key and its certificate. */
export interface SelfSigned {
  readonly key: string;
  readonly certificate: string;
}

/**
 * Makes a P-256 key and a certificate that is valid for two days.
 *
 * @param subject its subject alternative name, such as `DNS:localhost` or `IP:127.0.0.1`
 * @param name what the files are called, and the common name
 */
export function makeSelfSigned(folder: string, subject = 'DNS:localhost', name = 'server'): SelfSigned {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${subject}`];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', ...curve, '-days', '2', ...names, ...files], { stdio: 'pipe' });
  return { key, certificate };
}
