import { createHash } from 'node:crypto';
import type { ReviewRisk } from '@trialkeep/contract';
import { idBytes } from '../platform/ids.ts';

/** What share of the matched entries is presented (docs/formats/audit-review.md, "Sample"). */
const perMilleOfRisk: Readonly<Record<ReviewRisk, number>> = { low: 50, medium: 250, high: 1000 };
/** So few are presented whole, whatever the risk. */
const wholeUpTo = 100;

export function perMilleOf(risk: ReviewRisk, matched: number): number {
  return matched <= wholeUpTo ? 1000 : perMilleOfRisk[risk];
}

const domain = Buffer.from('trialkeep/review-sample/v1\0', 'utf8');

/** What a sample is drawn from: the root of the log at the end of the range (base64), and the id of the review. */
export interface Drawing {
  readonly root: string;
  readonly review: string;
  readonly perMille: number;
}

/** Whether the entry at an index is in the sample: the same for everybody who has the root and the id. */
export function sampler({ root, review, perMille }: Drawing): (index: number) => boolean {
  if (perMille >= 1000) return () => true;
  const begun = createHash('sha256').update(domain).update(Buffer.from(root, 'base64'));
  begun.update(idBytes(review));
  return (index) => {
    const place = Buffer.alloc(8);
    place.writeBigUInt64BE(BigInt(index));
    return begun.copy().update(place).digest().readUInt32BE(0) * 1000 < perMille * 2 ** 32;
  };
}
