import { CryptoError } from '../errors.ts';
import { keySchemes } from './algorithms.ts';
import type { Certificate } from './certificate.ts';
import { isSame } from './der.ts';
import type { TimestampPrimitives } from './primitives.ts';

/** id-kp-timeStamping (RFC 3161 section 2.3) and anyExtendedKeyUsage (RFC 5280 section 4.2.1.12). */
const timeStamping = '1.3.6.1.5.5.7.3.8';
const anyPurpose = '2.5.29.37.0';

/** Bits of keyUsage (RFC 5280 section 4.2.1.3). */
const usage = { digitalSignature: 0x80, nonRepudiation: 0x40, keyCertSign: 0x04 } as const;

/** Authorities between a signer and its root, and signatures that are tried in the search for a chain. */
const maxAuthorities = 6;
const maxSignatures = 32;

export interface ChainOptions {
  /** Certificates that may stand between; nothing of them is trusted. */
  readonly between: readonly Certificate[];
  readonly roots: readonly Certificate[];
  /** The time at which all of them have to be valid, milliseconds since 1970. */
  readonly time: number;
  readonly primitives: TimestampPrimitives;
}

/**
 * Whether the key of `issuer` made that signature.
 *
 * @throws CryptoError `crypto.timestamp_algorithm`, `crypto.timestamp_malformed` for a key that verifies nothing, such as a short one
 */
export async function isSignedBy(
  issuer: Certificate,
  { scheme, signed, signature }: Pick<Certificate, 'scheme' | 'signed' | 'signature'>,
  primitives: TimestampPrimitives,
): Promise<boolean> {
  if (!keySchemes(issuer.publicKey).includes(scheme.scheme)) return false;
  return primitives.verify(issuer.publicKey, scheme, signed, signature);
}

/** Refuses a certificate that must not sign tokens (RFC 3161 section 2.3), or not at that time. */
export function requireSigner(signer: Certificate, time: number): void {
  const { extendedKeyUsage, keyUsage, authority } = signer.extensions;
  const { purposes = [], isCritical = false } = extendedKeyUsage ?? {};
  if (!isCritical || purposes.length !== 1 || purposes[0] !== timeStamping)
    throw unfit('its only purpose is not time-stamping');
  const signs = usage.digitalSignature | usage.nonRepudiation;
  if (keyUsage !== undefined && ((keyUsage & signs) === 0 || (keyUsage & ~signs) !== 0))
    throw unfit('key usage');
  if (authority?.isAuthority === true) throw unfit('it is an authority of certificates');
  const reason = unusable(signer, time);
  if (reason !== undefined) throw unfit(reason);
}

function unfit(why: string): CryptoError {
  return new CryptoError('crypto.timestamp_certificate', why);
}

/** Why nothing signed with this certificate counts at that time, whoever issued it. */
function unusable({ notBefore, notAfter, extensions }: Certificate, time: number): string | undefined {
  if (time < notBefore) return 'not valid yet at that time';
  if (time > notAfter) return 'expired by that time';
  const [critical] = extensions.unknownCritical;
  return critical === undefined ? undefined : `critical extension ${critical}`;
}

/**
 * Finds a chain from the signer to a root (RFC 5280 section 6.1, without policies, name constraints and revocation lists: a
 * certificate with a critical extension that would need them is not used). A signer that is itself among the roots has one.
 *
 * @throws CryptoError `crypto.timestamp_untrusted`
 */
export async function requireChain(signer: Certificate, options: ChainOptions): Promise<void> {
  const search = new ChainSearch(options);
  if (!(await search.leadsToRoot(signer, 0))) {
    throw new CryptoError('crypto.timestamp_untrusted', search.hindrance);
  }
}

class ChainSearch {
  readonly #options: ChainOptions;
  #signatures = 0;
  /** Why the last candidate was passed over. */
  hindrance = 'no issuer among the roots';

  constructor(options: ChainOptions) {
    this.#options = options;
  }

  /** @param authorities how many stand below `certificate` already */
  async leadsToRoot(certificate: Certificate, authorities: number): Promise<boolean> {
    const { between, roots, time } = this.#options;
    if (roots.some(({ whole }) => isSame(whole, certificate.whole)))
      return unusable(certificate, time) === undefined;
    for (const root of roots) {
      if (await this.#issued(root, certificate, authorities, 'root')) return true;
    }
    if (authorities === maxAuthorities) return false;
    for (const authority of between) {
      if (!(await this.#issued(authority, certificate, authorities, 'authority'))) continue;
      if (await this.leadsToRoot(authority, authorities + 1)) return true;
    }
    return false;
  }

  async #issued(
    issuer: Certificate,
    subject: Certificate,
    below: number,
    as: 'root' | 'authority',
  ): Promise<boolean> {
    if (!isSame(issuer.subject, subject.issuer) || isSame(issuer.whole, subject.whole)) return false;
    const reason = unusable(issuer, this.#options.time) ?? mayNotIssue(issuer, below, as);
    if (reason !== undefined) {
      this.hindrance = reason;
      return false;
    }
    if (++this.#signatures > maxSignatures) return false;
    return this.#isSignedBy(issuer, subject);
  }

  /** A key that verifies nothing ends no search: an old root may have the name of the new one. */
  async #isSignedBy(issuer: Certificate, subject: Certificate): Promise<boolean> {
    try {
      const signed = await isSignedBy(issuer, subject, this.#options.primitives);
      if (!signed) this.hindrance = 'a signature does not verify';
      return signed;
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      this.hindrance = 'the key of an issuer is not accepted';
      return false;
    }
  }
}

/** A root of the first version has no extensions: whoever configured it vouches for it. */
function mayNotIssue(
  { extensions }: Certificate,
  below: number,
  as: 'root' | 'authority',
): string | undefined {
  const { authority, keyUsage, extendedKeyUsage } = extensions;
  if (authority === undefined && as === 'authority') return 'an issuer is no authority';
  if (authority?.isAuthority === false) return 'an issuer is no authority';
  if (below > (authority?.pathLength ?? maxAuthorities)) return 'a chain is longer than allowed';
  if (keyUsage !== undefined && (keyUsage & usage.keyCertSign) === 0)
    return 'an issuer must not sign certificates';
  const purposes = extendedKeyUsage?.purposes ?? [anyPurpose];
  return purposes.some((purpose) => purpose === timeStamping || purpose === anyPurpose)
    ? undefined
    : 'an issuer is not for time-stamping';
}
