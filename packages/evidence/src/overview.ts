import { cosignatureTime, parseCheckpoint, parseNote, parseProof, type Sha256 } from '@trialkeep/ledger';
import { utc, named, type Block, type Fact } from './blocks.ts';
import { documentHash, kindOf, listedEntries, parseDocument, type EvidenceDocument } from './document.ts';
import type { EvidenceFiles } from './pdf/files.ts';

/** What makes the pages, and names itself in the document information. Other pages for the same files are another version. */
export const renderer = 'Trialkeep evidence renderer 1';

/** What a reader sees of a document, whether on pages or on a screen. */
export type Overview = {
  readonly document: EvidenceDocument;
  /** SHA-256 of the content, hexadecimal. */
  readonly hash: string;
  readonly blocks: readonly Block[];
};

/**
 * The document as a reader sees it. Nothing is proven by that: signatures are named here as the file names them.
 *
 * @throws EvidenceError for content, LedgerError for a proof, without the form that they have to have
 */
export function overviewOf(sha256: Sha256, files: EvidenceFiles): Overview {
  const content = files['evidence.json'];
  const document = parseDocument(content);
  const hash = documentHash(sha256, content);
  const { kind, body } = kindOf(document);
  const context = { sha256, names: document.names, origin: document.origin };
  const blocks: Block[] = [
    { type: 'facts', facts: documentFacts(document, hash, kind.title) },
    ...kind.render(body, context),
    { type: 'heading', text: 'What this document shows, and what it does not' },
    ...kind.proven(body).map((text): Block => ({ type: 'paragraph', text })),
    { type: 'heading', text: 'Proof in the ledger' },
    { type: 'facts', facts: proofFacts(files) },
    ...signatureTable(files),
    { type: 'heading', text: 'How to verify this document' },
    ...verification.map((text): Block => ({ type: 'paragraph', text })),
  ];
  return { document, hash, blocks };
}

const verification = [
  'This file carries its content as data (evidence.json) and the proof that the ledger holds the hash of that content. Pages show; the ' +
    'attached files prove. Whoever has the verifier key of the log from a trusted place, and better the policy that names its witnesses, ' +
    'checks both without the server that made them:',
  'trialkeep verify FILE.pdf --key VERIFIER-KEY --policy POLICY',
  'or opens verify.html, which needs no network and no installation, in a browser. The first also makes these pages again and ' +
    'compares them with the file, byte by byte.',
];

function documentFacts(
  { id, kind, made, names, origin }: EvidenceDocument,
  hash: string,
  title: string,
): Fact[] {
  return [
    { name: 'Kind', value: `${title} (${kind})` },
    { name: 'Document id', value: id, mono: true },
    { name: 'Made', value: utc(made.time) },
    { name: 'Asked for by', value: named(names, made.actor), mono: true },
    { name: 'Ledger', value: origin },
    { name: 'SHA-256 of content', value: hash, mono: true },
  ];
}

function proofFacts(files: EvidenceFiles): Fact[] {
  const { index, checkpoint } = parseProof(files['evidence.tlog-proof']);
  const { origin, size, root } = parseCheckpoint(parseNote(checkpoint).text);
  const listed = listedEntries(parseDocument(files['evidence.json'])).length;
  const token = files['checkpoint.tsr'];
  return [
    { name: 'Log', value: origin },
    { name: 'Entry of this document', value: `index ${index}` },
    { name: 'Checkpoint', value: `${size} entries` },
    { name: 'Root', value: btoa(String.fromCharCode(...root)), mono: true },
    {
      name: 'Listed entries',
      value:
        listed === 0 ? 'none' : `${listed}, each with its place under the same checkpoint (entries.proof)`,
    },
    {
      name: 'Timestamp',
      value:
        token === undefined
          ? 'none is attached'
          : 'an RFC 3161 token of the checkpoint is attached (checkpoint.tsr)',
    },
  ];
}

/** Bytes of a plain signature; a cosignature has a time of eight bytes before it. */
const ed25519Bytes = 64;

function signatureTable(files: EvidenceFiles): Block[] {
  const { signatures } = parseNote(parseProof(files['evidence.tlog-proof']).checkpoint);
  return [
    {
      type: 'table',
      columns: [
        { title: 'Signed by (as the checkpoint names it)', share: 58, mono: true },
        { title: 'Key id', share: 14, mono: true },
        { title: 'Time that it states (UTC)', share: 28 },
      ],
      rows: signatures.map(({ name, keyId, signature }) => [
        name,
        keyId.toString(16).padStart(8, '0'),
        signature.length === ed25519Bytes ? '–' : timeText(cosignatureTime(signature)),
      ]),
    },
  ];
}

function timeText(seconds: number): string {
  const time = seconds * 1000;
  return time > 0 && time <= 8_640_000_000_000_000 ? utc(time).replace('.000 UTC', '') : '–';
}
