import { join } from 'node:path';
import { ExportFindings } from './export-finding.ts';
import { openRegularFile, signaturesPath } from './folder.ts';
import { readLines } from './lines.ts';
import { sha256Hex } from './primitives.ts';
import { signatureFindingTexts } from './signature-finding.ts';
import type { SignatureFinding } from './signature-finding.ts';
import { parseSignatureLine, parseSignatureRecord, signedEntryOf } from './signature-record.ts';
import type { SignedEntry } from './signature-record.ts';

/** What verification says about the electronic signatures of an export. */
export interface SignaturesResult {
  /** Entries of the verified log that say that they were signed. */
  readonly signed: number;
  /** Those of them whose record is there, fits its entry, and has its document unaltered where that is there. */
  readonly checked: number;
  /** Those of them whose record is not there. */
  readonly missing: number;
  /** Whether the export has a file of signatures at all. */
  readonly exported: boolean;
  /** Whether something about them is false, not only out of sight. */
  readonly failed: boolean;
  /** At most 1,000. */
  readonly findings: readonly SignatureFinding[];
  /** Further findings that are not listed. */
  readonly findingsOmitted: number;
}

/**
 * Holds the signature records of an export to the log (docs/formats/signature.md). The entries are given first, one by one as they
 * are proven: what is remembered is bounded by the log, however much the file of signatures holds.
 */
export class SignatureChecker {
  readonly #entries = new Map<string, SignedEntry & { readonly index: number; seen: boolean }>();
  readonly #findings = new ExportFindings(signatureFindingTexts, 'signatures');
  #checked = 0;

  /** Takes an entry that is proven to stand at `index`. */
  addEntry(index: number, entry: Uint8Array): void {
    const signed = signedEntryOf(entry);
    if (signed === undefined) return;
    // A record is of one moment, and so of one entry.
    if (this.#entries.has(signed.signature)) this.#findings.add('signature.mismatch', { index });
    else this.#entries.set(signed.signature, { ...signed, index, seen: false });
  }

  /** Checks the folder's file of signatures against the entries. @param origin of the verified log */
  async checkFolder(folder: string, origin: string | undefined): Promise<SignaturesResult> {
    const file = await openRegularFile(join(folder, signaturesPath));
    const exported = file !== undefined;
    let line = 0;
    if (exported) for await (const text of readLines(file)) this.#checkLine(text, ++line, origin);
    const missing = [...this.#entries.values()].filter(({ seen }) => !seen);
    if (exported) for (const { index } of missing) this.#findings.add('signature.missing', { index });
    else if (missing.length > 0) this.#findings.add('signatures.not_exported');
    return {
      signed: this.#entries.size,
      checked: this.#checked,
      missing: missing.length,
      exported,
      failed: this.#findings.failed,
      findings: this.#findings.list,
      findingsOmitted: this.#findings.omitted,
    };
  }

  #checkLine(text: string | undefined, line: number, origin: string | undefined): void {
    const parts = text === undefined ? undefined : parseSignatureLine(text);
    const record = parts && parseSignatureRecord(parts.record);
    if (parts === undefined || record === undefined)
      return this.#findings.add('signature.malformed', { line });
    const entry = this.#entries.get(sha256Hex(parts.record));
    if (entry === undefined) return this.#findings.add('signature.foreign', { line });
    const place = { index: entry.index, line };
    if (entry.seen) return this.#findings.add('signature.repeated', place);
    entry.seen = true;
    const agrees =
      record.origin === origin &&
      record.person === entry.actor &&
      record.hash === entry.hash &&
      record.operation === entry.operation &&
      record.time === entry.time &&
      entry.outcome === 'success';
    if (!agrees) return this.#findings.add('signature.mismatch', place);
    if (parts.document !== null && sha256Hex(parts.document) !== record.hash) {
      return this.#findings.add('signature.document_altered', place);
    }
    this.#checked += 1;
    if (parts.document === null) this.#findings.add('signature.document_missing', place);
  }
}
