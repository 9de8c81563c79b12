import { getFips } from 'node:crypto';
import type { Profile } from './config.ts';
import type { DialectName } from './migrations.ts';

/** What the regulated profile looks at in a root of trust. */
export interface RootFacts {
  readonly kind: 'passphrase' | 'pkcs11' | 'aws-kms' | 'azure-key-vault' | 'shares';
  /** Whether a passphrase lies in the data directory, of which somebody may take the whole. */
  readonly besideData: boolean;
  /** Whether a passphrase gives the key by PBKDF2, which FIPS approves. */
  readonly isApprovedDerivation: boolean;
  /** Number of the module's CMVP certificate, as it is recorded. */
  readonly certificate?: string | undefined;
}

/** What the regulated profile looks at (URS-085). */
export interface Installation {
  readonly rootOfTrust: RootFacts;
  readonly transport: 'http';
  /** The fewest people whose approval suffices for destruction, export or ceremonies. */
  readonly approvers: number;
}

function rootRefusals({ kind, besideData, isApprovedDerivation, certificate }: RootFacts): string[] {
  // Of shares the key is in this process, whose module is looked at for itself.
  if (kind === 'shares') return [];
  if (kind !== 'passphrase') {
    const refusal = 'no CMVP certificate is recorded for the module that holds the root of trust';
    return certificate === undefined ? [refusal] : [];
  }
  const refusals: string[] = [];
  if (besideData) refusals.push('the root of trust is a passphrase in a file beside the data');
  if (!isApprovedDerivation)
    refusals.push('the passphrase gives its key by Argon2id, which no module approves');
  return refusals;
}

/** What keeps an installation from running under a profile; empty when nothing does. */
export function profileRefusals(profile: Profile, installation: Installation): string[] {
  if (profile === 'evaluation') return [];
  const refusals = rootRefusals(installation.rootOfTrust);
  if (installation.transport === 'http') refusals.push('the API is served over plain HTTP');
  if (installation.approvers < 2) refusals.push('one person alone can approve');
  if (getFips() !== 1) refusals.push('the cryptographic module is not one with a certificate');
  return refusals;
}

/**
 * What the present configuration cannot promise; the status page says it.
 *
 * @param isWitnessed whether every ledger has a witness or mirror
 * @param rootKind the kind of the root of trust
 */
export function statedLimits(
  profile: Profile,
  dialect: DialectName = 'sqlite',
  isWitnessed = false,
  rootKind: RootFacts['kind'] = 'passphrase',
): string[] {
  const limits: string[] = [];
  if (profile === 'evaluation') {
    const passphrase =
      rootKind === 'passphrase'
        ? 'the passphrase of the root of trust lies in a file beside the data, and '
        : '';
    limits.push(
      `Evaluation profile: ${passphrase}the API speaks plain HTTP on loopback. Not for real trial data.`,
    );
  }
  if (!isWitnessed) {
    limits.push(
      'Roll-back of a ledger without witnesses is noticed against the anchor on this machine only: whoever can rewrite the whole data directory, the anchor included, is not noticed until a witness or mirror runs elsewhere.',
    );
  }
  if (dialect === 'postgres') {
    limits.push(
      'On PostgreSQL no space is set aside for revocations, and durability is what the server and its standbys are set to: watch its disk, and keep its settings as docs/how-to/run-on-postgresql.md says.',
    );
  }
  return limits;
}
