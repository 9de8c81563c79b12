import { join } from 'node:path';
import { verifyPayload } from '@trialkeep/crypto';
import { parseCanonicalObject, isSha256Hex, isUuid } from '@trialkeep/ledger';
import { ExportFindings } from './export-finding.ts';
import { openRegularFile, payloadsPath } from './folder.ts';
import { readLines } from './lines.ts';
import { payloadFindingTexts } from './payload-finding.ts';
import type { PayloadFinding } from './payload-finding.ts';
import { parsePayloadLine } from './payload-line.ts';
import type { PayloadLine } from './payload-line.ts';

/** What verification says about the payloads of an export. */
export interface PayloadsResult {
  /** Whether the export has a file of payloads at all; without one nothing is said about them. */
  readonly exported: boolean;
  /** Payloads that are the ones that their entries committed to. */
  readonly checked: number;
  /** Payloads that the log says were erased with their subject's key. */
  readonly erased: number;
  /** Payloads that the log says people had removed. */
  readonly redacted: number;
  /** Payloads that are missing without a reason in the log. */
  readonly withheld: number;
  /** Whether something about them is false, not only out of sight. */
  readonly failed: boolean;
  /** At most 1,000. */
  readonly findings: readonly PayloadFinding[];
  readonly findingsOmitted: number;
}

/** What an entry says that matters to payloads. */
interface EntryFacts {
  readonly entry: string;
  readonly commitment: string;
  readonly subject: unknown;
}

/**
 * Holds the payloads of an export to the log: each opened one is the one that its entry committed to, and each that is said to be gone
 * is gone for a reason that stands in the log. The file has the order of the log, and is read alongside: memory grows only with what
 * was erased and redacted.
 */
export class PayloadChecker {
  readonly #findings = new ExportFindings(payloadFindingTexts, 'payloads');
  readonly #counts = { checked: 0, erased: 0, redacted: 0, withheld: 0 };
  readonly #lines: AsyncGenerator<string | undefined> | undefined;
  /** What the log says was redacted, by entry id, and erased, by alias. */
  readonly #redacted = new Set<string>();
  readonly #erased = new Set<string>();
  /** What the lines say was; an entry about it stands behind the one concerned. */
  readonly #claimed: {
    readonly state: 'erased' | 'redacted';
    readonly name: string;
    readonly index: number;
  }[] = [];
  #line = 0;
  #lastIndex = -1;
  #isBroken = false;
  #next: PayloadLine | undefined;

  private constructor(lines: AsyncGenerator<string | undefined> | undefined) {
    this.#lines = lines;
  }

  /** @param folder of an export; one without payloads is no finding */
  static async open(folder: string): Promise<PayloadChecker> {
    const file = await openRegularFile(join(folder, payloadsPath));
    const checker = new PayloadChecker(file && readLines(file));
    await checker.#advance();
    return checker;
  }

  /** Takes an entry that is proven to stand at `index`; they come in order, and those that are not proven do not come. */
  async addEntry(index: number, bytes: Uint8Array): Promise<void> {
    if (this.#lines === undefined) return;
    // Lines of entries that did not come: what is wrong with those is a finding of the log itself.
    while (this.#next !== undefined && this.#next.index < index) await this.#advance();
    const content = parseCanonicalObject(Buffer.from(bytes).toString('utf8')) ?? {};
    if (content['outcome'] === 'success') this.#note(content);
    const { entry, commitment, subject } = content;
    const line = this.#next?.index === index ? this.#next : undefined;
    if (!isUuid(entry) || !isSha256Hex(commitment)) {
      if (line === undefined) return;
      this.#findings.add('payload.malformed', { line: this.#line });
      return this.#advance();
    }
    if (line === undefined) {
      // Behind a line that is none, nothing tells which are missing.
      if (!this.#isBroken) this.#findings.add('payload.missing', { index });
      return;
    }
    this.#check(line, { entry: entry as string, commitment: commitment as string, subject });
    await this.#advance();
  }

  /** Closes the file, however far it was read; more than once does no harm. */
  async close(): Promise<void> {
    await this.#lines?.return(undefined);
  }

  /** What was found, once every entry was given. Closes the file. */
  async finish(): Promise<PayloadsResult> {
    // A line behind the last entry that came.
    if (this.#next !== undefined) this.#findings.add('payload.malformed', { line: this.#line });
    await this.close();
    for (const { state, name, index } of this.#claimed) {
      if ((state === 'erased' ? this.#erased : this.#redacted).has(name)) this.#counts[state] += 1;
      else this.#findings.add('payload.unfounded', { index });
    }
    const { failed, list: findings, omitted: findingsOmitted } = this.#findings;
    return { exported: this.#lines !== undefined, ...this.#counts, failed, findings, findingsOmitted };
  }

  #note({ operation, subject, redacted }: Readonly<Record<string, unknown>>): void {
    if (operation === 'subjects.erase' && typeof subject === 'string') this.#erased.add(subject);
    if (operation === 'payloads.redact' && typeof redacted === 'string') this.#redacted.add(redacted);
  }

  #check(line: PayloadLine, { entry, commitment, subject }: EntryFacts): void {
    const { index } = line;
    if (line.entry !== entry) return this.#findings.add('payload.malformed', { line: this.#line });
    if (line.state === 'withheld') {
      this.#counts.withheld += 1;
      return this.#findings.add('payload.unexplained', { index });
    }
    if (line.state !== 'open') {
      const name = line.state === 'redacted' ? entry : typeof subject === 'string' ? subject : '';
      this.#claimed.push({ state: line.state, name, index });
      return;
    }
    const committed = verifyPayload(
      Buffer.from(commitment, 'hex'),
      Buffer.from(line.blinding, 'base64'),
      Buffer.from(entry.replaceAll('-', ''), 'hex'),
      Buffer.from(line.content),
    );
    if (committed) this.#counts.checked += 1;
    else this.#findings.add('payload.mismatch', { index });
  }

  /** Reads the next line; one that is none, or does not come behind the one before in the log, ends the reading. */
  async #advance(): Promise<void> {
    this.#next = undefined;
    const read = await this.#lines?.next();
    if (read === undefined || read.done === true) return;
    this.#line += 1;
    const line = read.value === undefined ? undefined : parsePayloadLine(read.value);
    if (line !== undefined && line.index > this.#lastIndex) {
      this.#lastIndex = line.index;
      this.#next = line;
    } else {
      this.#isBroken = true;
      this.#findings.add('payload.malformed', { line: this.#line });
      await this.#lines?.return(undefined);
    }
  }
}
