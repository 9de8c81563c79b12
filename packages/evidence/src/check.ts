import {
  LedgerError,
  checkProof,
  openCheckpoint,
  parseProof,
  type CheckedProof,
  type Sha256,
  type Trust,
  decodeUtf8,
  parseCanonicalObject,
} from '@trialkeep/ledger';
import { kindOf, listedEntries } from './document.ts';
import { rootOfEntries } from './entries-proof.ts';
import { EvidenceError } from './errors.ts';
import { entryBytes, isEntry } from './listed.ts';
import { overviewOf, renderer, type Overview } from './overview.ts';
import { readEvidence, type EvidenceFiles } from './pdf/files.ts';

export type EvidenceFindingCode = keyof typeof evidenceFindingTexts;

/** What verification can find, with what to do about it. */
export const evidenceFindingTexts = {
  'evidence.form': {
    severity: 'failure',
    fix: 'Pass the file as it was handed over; if it was, it was altered, or is no evidence document.',
  },
  'evidence.entry': {
    severity: 'failure',
    fix: 'Do not rely on the content: it is not what the ledger holds the hash of.',
  },
  'evidence.proof': {
    severity: 'failure',
    fix: 'Check that key and policy belong to this log; if they do, do not rely on the document.',
  },
  'evidence.listed': {
    severity: 'failure',
    fix: 'Do not rely on the listed entries: the ledger does not hold them so.',
  },
  'evidence.contradiction': {
    severity: 'failure',
    fix: 'Do not rely on the content, and ask whoever made it.',
  },
  'evidence.timestamp': {
    severity: 'failure',
    fix: "Check the authority's certificates; if they are right, do not rely on the time.",
  },
  'evidence.timestamp_unchecked': {
    severity: 'warning',
    fix: 'Give the certificates of the timestamp authority to have the token checked.',
  },
  'evidence.pages': { severity: 'failure', fix: 'Do not rely on the pages: they do not show the content.' },
  'evidence.pages_unchecked': {
    severity: 'warning',
    fix: 'Read the content as it is shown here; the pages of the file were not compared with it.',
  },
} as const satisfies Record<string, { severity: 'failure' | 'warning'; fix: string }>;

export type EvidenceFinding = {
  readonly code: EvidenceFindingCode;
  readonly severity: 'failure' | 'warning';
  /** What was found, in a sentence. */
  readonly sentence: string;
};

/** What a timestamp says once it has verified. */
export type EvidenceTimestamp = { readonly time: number; readonly authority: string };

export type EvidenceResult = {
  /** `consistent`: all of it holds under the log's key; that the log has a single history is unproven. */
  readonly verdict: 'verified' | 'consistent' | 'failed';
  readonly findings: readonly EvidenceFinding[];
  /** What the document says; of a failed one it proves nothing. */
  readonly overview?: Overview;
  /** Who stands behind it; only where the proof holds. */
  readonly proof?: CheckedProof;
  readonly timestamp?: EvidenceTimestamp;
};

export type CheckOptions = {
  readonly sha256: Sha256;
  readonly trust: Trust;
  /** Makes the file again from what is attached; without, the pages stay unchecked. */
  readonly render?: (files: EvidenceFiles) => Promise<Uint8Array>;
  /** Checks a token over a checkpoint; throws where it does not hold. Without, a token stays unchecked. */
  readonly timestamp?: (token: Uint8Array, checkpoint: Uint8Array) => Promise<EvidenceTimestamp>;
};

/** Most findings that are listed. */
const maxFindings = 100;

/**
 * Checks an evidence document by the steps of docs/formats/evidence-document.md. Every byte of `pdf` comes from an attacker;
 * whatever is wrong with it is a finding, never thrown.
 */
export async function checkEvidence(pdf: Uint8Array, options: CheckOptions): Promise<EvidenceResult> {
  const findings: EvidenceFinding[] = [];
  const find = (code: EvidenceFindingCode, sentence: string): void => {
    const { severity } = evidenceFindingTexts[code];
    if (findings.length < maxFindings) findings.push({ code, severity, sentence });
  };
  const { sha256 } = options;
  const form = attempt('evidence.form', find, () => {
    const { files, creator } = readEvidence(pdf);
    return { files, creator, overview: overviewOf(sha256, files) };
  });
  if (form === undefined) return { verdict: 'failed', findings };
  const { files, creator, overview } = form;
  if (!isEntryOf(files, overview.hash)) {
    find('evidence.entry', 'The entry of this document does not hold the hash of its content.');
  }
  const proof = await attemptAsync('evidence.proof', find, () =>
    checkProof(
      sha256,
      parseProof(files['evidence.tlog-proof']),
      files['entry.json'],
      options.trust,
      overview.document.origin,
    ),
  );
  if (proof !== undefined) await checkListed(files, overview, proof, options, find);
  const timestamp = await checkTimestamp(files, options, find);
  await checkPages(pdf, files, creator, options, find);
  const isBroken = proof === undefined || findings.some(({ severity }) => severity === 'failure');
  const verdict = isBroken ? 'failed' : proof.quorum === 'met' ? 'verified' : 'consistent';
  return {
    verdict,
    findings,
    overview,
    ...(proof !== undefined && { proof }),
    ...(timestamp !== undefined && { timestamp }),
  };
}

type Find = (code: EvidenceFindingCode, sentence: string) => void;

/** Whether the entry is the one with which the ledger took up this content. */
function isEntryOf(files: EvidenceFiles, hash: string): boolean {
  const text = decodeUtf8(files['entry.json']);
  const entry = text === undefined ? undefined : parseCanonicalObject(text);
  return (
    isEntry(entry) &&
    entry.operation === 'evidence.make' &&
    entry.outcome === 'success' &&
    entry.hash === hash
  );
}

async function checkListed(
  files: EvidenceFiles,
  { document }: Overview,
  { checkpoint }: CheckedProof,
  { sha256, trust }: CheckOptions,
  find: Find,
): Promise<void> {
  const { kind, body } = kindOf(document);
  const listed = listedEntries(document).map(({ entry, index }) => ({ index, bytes: entryBytes(entry) }));
  const entries = listed.flatMap(({ index, bytes }) => (bytes === undefined ? [] : [{ index, bytes }]));
  const proof = files['entries.proof'];
  const isInside = (entries.at(-1)?.index ?? 0) < checkpoint.size && entries.length === listed.length;
  const root =
    proof === undefined || entries.length === 0 || !isInside
      ? undefined
      : attempt('evidence.listed', find, () => rootOfEntries(sha256, entries, checkpoint.size, proof));
  const holds =
    entries.length === 0 ? proof === undefined : root !== undefined && isEqual(root, checkpoint.root);
  if (!holds) find('evidence.listed', 'The listed entries do not stand in the ledger under this checkpoint.');
  for (const sentence of kind.contradictions(body, {
    sha256,
    names: document.names,
    origin: document.origin,
  })) {
    find('evidence.contradiction', sentence);
  }
  const quoted = kind.checkpoint?.(body);
  if (quoted !== undefined) {
    await attemptAsync('evidence.contradiction', find, () =>
      openCheckpoint(new TextEncoder().encode(quoted), trust, document.origin),
    );
  }
}

async function checkTimestamp(
  files: EvidenceFiles,
  { timestamp }: CheckOptions,
  find: Find,
): Promise<EvidenceTimestamp | undefined> {
  const token = files['checkpoint.tsr'];
  if (token === undefined) return undefined;
  if (timestamp === undefined) {
    find('evidence.timestamp_unchecked', 'The timestamp of the checkpoint was not checked.');
    return undefined;
  }
  const { checkpoint } = parseProof(files['evidence.tlog-proof']);
  try {
    return await timestamp(token, checkpoint);
  } catch (error) {
    find('evidence.timestamp', error instanceof Error ? error.message : 'The timestamp does not hold.');
    return undefined;
  }
}

async function checkPages(
  pdf: Uint8Array,
  files: EvidenceFiles,
  creator: string,
  { render }: CheckOptions,
  find: Find,
): Promise<void> {
  if (render === undefined) {
    find('evidence.pages_unchecked', 'The pages of the file were not compared with the content.');
  } else if (creator !== renderer) {
    find(
      'evidence.pages_unchecked',
      'Another version made the pages, so that they could not be compared with the content.',
    );
  } else if (!isEqual(await render(files), pdf)) {
    find('evidence.pages', 'The pages of the file are not those that its content gives.');
  }
}

/** What the work gives; where the input is at fault, a finding and undefined. */
function attempt<T>(code: EvidenceFindingCode, find: Find, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    find(code, sentenceOf(error));
    return undefined;
  }
}

async function attemptAsync<T>(
  code: EvidenceFindingCode,
  find: Find,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    find(code, sentenceOf(error));
    return undefined;
  }
}

/** Errors of the formats are about the input; every other one is ours, and goes on. */
function sentenceOf(error: unknown): string {
  if (error instanceof EvidenceError || error instanceof LedgerError) return error.message;
  throw error;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
