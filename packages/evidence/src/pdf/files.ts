import { EvidenceError } from '../errors.ts';
import { maxContentBytes } from '../document.ts';
import { maxEntriesProofBytes } from '../entries-proof.ts';
import { readPdf, type PdfFile, type PdfObject } from './file.ts';
import { isDictionary, malformed, type PdfDictionary, type PdfValue } from './objects.ts';

/** What lies in an evidence document beside its pages, by the names that the files have there. */
export type EvidenceFiles = {
  readonly 'evidence.json': Uint8Array;
  readonly 'entry.json': Uint8Array;
  readonly 'evidence.tlog-proof': Uint8Array;
  readonly 'entries.proof'?: Uint8Array;
  readonly 'checkpoint.tsr'?: Uint8Array;
};
export type EvidenceFileName = keyof EvidenceFiles;

/** How each file is attached. */
export type Attachment = {
  readonly name: EvidenceFileName;
  readonly mediaType: string;
  readonly description: string;
  /** ISO 32000-2 section 7.11.3. */
  readonly relationship: 'Source' | 'Supplement';
  readonly maxBytes: number;
  readonly required: boolean;
};

const supplement = { relationship: 'Supplement', required: false } as const;

/** The files, in the order in which they are attached. */
export const attachments: readonly Attachment[] = [
  {
    name: 'evidence.json',
    mediaType: 'application/json',
    description: 'The content of this document, as canonical JSON (RFC 8785)',
    relationship: 'Source',
    maxBytes: maxContentBytes,
    required: true,
  },
  {
    ...supplement,
    name: 'entry.json',
    mediaType: 'application/json',
    description: "The ledger's entry with the hash of the content",
    maxBytes: 65_535,
    required: true,
  },
  {
    ...supplement,
    name: 'evidence.tlog-proof',
    mediaType: 'text/plain',
    description: 'The proof of that entry with a signed checkpoint (C2SP tlog-proof)',
    maxBytes: 2 << 20,
    required: true,
  },
  {
    ...supplement,
    name: 'entries.proof',
    mediaType: 'application/octet-stream',
    description: 'The proof of the listed entries under the same checkpoint',
    maxBytes: maxEntriesProofBytes,
  },
  {
    ...supplement,
    name: 'checkpoint.tsr',
    mediaType: 'application/timestamp-reply',
    description: 'The timestamp of the checkpoint (RFC 3161)',
    maxBytes: 64 << 10,
  },
];

/** What a PDF has to be an evidence document: the attached files, and which renderer made the pages. */
export type ReadEvidence = { readonly files: EvidenceFiles; readonly creator: string };

/**
 * Takes the attached files out of an evidence document. Nothing of what they say is believed yet.
 *
 * @throws EvidenceError `evidence.file_size`, `evidence.pdf_malformed`, `evidence.files_unexpected`
 */
export function readEvidence(pdf: Uint8Array): ReadEvidence {
  const file = readPdf(pdf);
  const catalog = dictionary(file, file.trailer.get('Root'), 'catalogue');
  if (name(catalog.get('Type')) !== 'Catalog') throw malformed('catalogue');
  const names = dictionary(file, catalog.get('Names'), 'names');
  const tree = dictionary(file, names.get('EmbeddedFiles'), 'embedded files');
  const leaf = tree.get('Names');
  if (!Array.isArray(leaf) || tree.has('Kids')) throw malformed('embedded files');
  const pairs = leaf as readonly PdfValue[];
  const specifications = pairs.filter((_, i) => i % 2 === 1);
  const associated = catalog.get('AF');
  const isSame =
    Array.isArray(associated) &&
    JSON.stringify(sorted(associated)) === JSON.stringify(sorted(specifications));
  if (!isSame) throw new EvidenceError('evidence.files_unexpected', 'associated files');
  const found = new Map<string, Uint8Array>();
  for (let i = 0; i < pairs.length; i += 2) {
    const attached = text(pairs[i]);
    if (found.has(attached)) throw new EvidenceError('evidence.files_unexpected', 'a name twice');
    found.set(attached, attachedFile(file, attached, pairs[i + 1]));
  }
  const embedded = [...file.objects.values()].filter(isEmbedded).length;
  if (embedded !== found.size) throw new EvidenceError('evidence.files_unexpected', 'a file without a name');
  const information = dictionary(file, file.trailer.get('Info'), 'information');
  return { files: evidenceFiles(found), creator: text(resolve(file, information.get('Creator'))) };
}

function evidenceFiles(found: ReadonlyMap<string, Uint8Array>): EvidenceFiles {
  const known = new Map<string, Attachment>(attachments.map((attachment) => [attachment.name, attachment]));
  for (const [fileName, bytes] of found) {
    const attachment = known.get(fileName);
    if (attachment === undefined || bytes.length > attachment.maxBytes) {
      throw new EvidenceError('evidence.files_unexpected');
    }
  }
  for (const { name: required } of attachments.filter((attachment) => attachment.required)) {
    if (!found.has(required)) throw new EvidenceError('evidence.files_unexpected', `no ${required}`);
  }
  return Object.fromEntries(found) as EvidenceFiles;
}

function attachedFile(file: PdfFile, attached: string, reference: PdfValue | undefined): Uint8Array {
  const specification = dictionary(file, reference, 'file specification');
  const content = dictionary(file, specification.get('EF'), 'file specification').get('F');
  const object = objectOf(file, content);
  const isNamed = text(specification.get('F')) === attached && text(specification.get('UF')) === attached;
  if (object?.stream === undefined || !isEmbedded(object) || !isNamed) throw malformed('file specification');
  return object.stream;
}

function isEmbedded({ value }: PdfObject): boolean {
  return isDictionary(value) && name(value.get('Type')) === 'EmbeddedFile';
}

function objectOf({ objects }: PdfFile, value: PdfValue | undefined): PdfObject | undefined {
  const isReference = typeof value === 'object' && value !== null && 'reference' in value;
  return isReference ? objects.get(value.reference) : undefined;
}

/** What a value is, or what it refers to. */
function resolve(file: PdfFile, value: PdfValue | undefined): PdfValue | undefined {
  return objectOf(file, value)?.value ?? value;
}

function dictionary(file: PdfFile, value: PdfValue | undefined, what: string): PdfDictionary {
  const resolved = resolve(file, value);
  if (!isDictionary(resolved)) throw malformed(what);
  return resolved;
}

function name(value: PdfValue | undefined): string | undefined {
  return typeof value === 'object' && value !== null && 'name' in value ? value.name : undefined;
}

function text(value: PdfValue | undefined): string {
  if (typeof value === 'object' && value !== null && 'text' in value) return value.text;
  throw malformed('a text');
}

function sorted(values: readonly PdfValue[]): readonly string[] {
  return values.map((value) => JSON.stringify(value)).sort();
}
