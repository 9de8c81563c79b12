/** What the tests of verification share: a log of 1,000 entries, what becomes of it, and what the verifier says of that. */
import { entriesUpTo, logKey, MemoryLog, sha256 } from './fixture.test.ts';
import { verifyLog, type Finding, type VerifyOptions, type VerifyResult } from './index.ts';

/** Verifies with the log's key. */
export function verify(log: MemoryLog, options: Partial<VerifyOptions> = {}): Promise<VerifyResult> {
  return verifyLog({ sha256, verifiers: [logKey.verifier], source: log.source, ...options });
}

/** Findings in one line each: code, entry range and file. */
export function brief({ findings }: VerifyResult): string[] {
  return findings.map(({ code, index, lastIndex, path }: Finding) => {
    const range = index === undefined ? '' : ` ${index}${lastIndex === undefined ? '' : `-${lastIndex}`}`;
    return `${code}${range}${path === undefined ? '' : ` ${path}`}`;
  });
}

export const foreign = new TextEncoder().encode('never in the log');
export const thousand = entriesUpTo(1000);

/** A log of 1,000 entries whose bundles hold `entries` instead, laid out anew. */
export async function logWithEntries(entries: readonly Uint8Array[]): Promise<MemoryLog> {
  const log = await MemoryLog.of(thousand);
  log.putBundles(entries, 1000);
  return log;
}
