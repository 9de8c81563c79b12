import { hash } from 'node:crypto';

/** SHA-256 as the ledger's functions take it. */
export const sha256 = (data: Uint8Array): Uint8Array => hash('sha256', data, 'buffer');

/** How a log's place among others is named: SHA-256 of its origin in lower-case hexadecimal (C2SP tlog-witness, tlog-mirror). */
export function originHash(origin: string): string {
  return hash('sha256', origin, 'hex');
}
