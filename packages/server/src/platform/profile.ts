import { getFips } from 'node:crypto';
import type { Profile } from './config.ts';
import type { DialectName } from './migrations.ts';

/** What the regulated profile looks at (URS-085). */
export interface Installation {
  readonly rootOfTrust: 'passphrase';
  readonly transport: 'http';
  /** The fewest people whose approval suffices for destruction, export or ceremonies. */
  readonly approvers: number;
}

/** What keeps an installation from running under a profile; empty when nothing does. */
export function profileRefusals(profile: Profile, installation: Installation): string[] {
  if (profile === 'evaluation') return [];
  const refusals: string[] = [];
  if (installation.rootOfTrust === 'passphrase') {
    refusals.push('the root of trust is a passphrase in a file beside the data');
  }
  if (installation.transport === 'http') refusals.push('the API is served over plain HTTP');
  if (installation.approvers < 2) refusals.push('one person alone can approve');
  if (getFips() !== 1) refusals.push('the cryptographic module is not one with a certificate');
  return refusals;
}

/**
 * What the present configuration cannot promise; the status page says it.
 *
 * @param isWitnessed whether every ledger has a witness or mirror
 */
export function statedLimits(
  profile: Profile,
  dialect: DialectName = 'sqlite',
  isWitnessed = false,
): string[] {
  const limits: string[] = [];
  if (profile === 'evaluation') {
    limits.push(
      'Evaluation profile: the passphrase of the root of trust lies in a file beside the data, and the API speaks plain HTTP on loopback. Not for real trial data.',
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
