import type { Sha256 } from '@trialkeep/ledger';
import {
  canonicalText,
  decodeUtf8,
  parseCanonicalObject,
  type JsonObject,
  hasShape,
  isTime,
  isUuid,
} from '@trialkeep/ledger';
import { hex } from './hex.ts';
import { EvidenceError } from './errors.ts';
import { answerKind, type AnswerBody } from './kinds/answer.ts';
import { ceremonyKind, type CeremonyBody } from './kinds/ceremony.ts';
import { destructionKind, type DestructionBody } from './kinds/destruction.ts';
import { drillKind, type DrillBody } from './kinds/drill.ts';
import { erasureKind, type ErasureBody } from './kinds/erasure.ts';
import { exitKind, type ExitBody } from './kinds/exit.ts';
import { inventoryKind, type InventoryBody } from './kinds/inventory.ts';
import type { Kind } from './kinds/kind.ts';
import { reviewKind, type ReviewBody } from './kinds/review.ts';
import { studyErasureKind, type StudyErasureBody } from './kinds/study-erasure.ts';
import type { ListedEntry } from './listed.ts';
import { isLine, isOrigin } from './shape.ts';

/** Every kind of evidence document, by its id. */
export const kinds = {
  'audit.review': reviewKind as unknown as Kind,
  'key.destruction': destructionKind as unknown as Kind,
  'key.inventory': inventoryKind as unknown as Kind,
  'ledger.answer': answerKind as unknown as Kind,
  'root.ceremony': ceremonyKind as unknown as Kind,
  'revocation.drill': drillKind as unknown as Kind,
  'study.erasure': studyErasureKind as unknown as Kind,
  'subject.erasure': erasureKind as unknown as Kind,
  'tenant.exit': exitKind as unknown as Kind,
} as const satisfies Record<string, Kind>;
export type KindId = keyof typeof kinds;

/** The bodies of the kinds. */
export type Bodies = {
  'audit.review': ReviewBody;
  'key.destruction': DestructionBody;
  'key.inventory': InventoryBody;
  'ledger.answer': AnswerBody;
  'root.ceremony': CeremonyBody;
  'revocation.drill': DrillBody;
  'study.erasure': StudyErasureBody;
  'subject.erasure': ErasureBody;
  'tenant.exit': ExitBody;
};

/** Longest content, bytes. */
export const maxContentBytes = 16 << 20;
const maxNames = 2000;

/** The content of an evidence document (docs/formats/evidence-document.md). */
export type EvidenceDocument<Id extends KindId = KindId> = {
  readonly body: Bodies[Id];
  readonly id: string;
  readonly kind: Id;
  readonly made: {
    /** Id of the credential or person that asked for it. */
    readonly actor: string;
    /** Milliseconds since 1970, by the server. */
    readonly time: number;
  };
  /** What ids were called when the document was made. */
  readonly names: Readonly<Record<string, string>>;
  readonly origin: string;
  readonly title: string;
  readonly v: 1;
};

/**
 * The content as bytes: what is hashed, and attached as `evidence.json`.
 *
 * @throws EvidenceError `evidence.too_large`; `evidence.content_malformed` for what {@link parseDocument} would refuse
 */
export function formatDocument(document: EvidenceDocument): Uint8Array {
  const text = canonicalText(document);
  if (text === undefined) throw new EvidenceError('evidence.content_malformed');
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > maxContentBytes) throw new EvidenceError('evidence.too_large');
  parseDocument(bytes);
  return bytes;
}

/**
 * Reads the content; nothing of it is proven by that.
 *
 * @throws EvidenceError `evidence.too_large`, `evidence.content_malformed`, `evidence.kind_unknown`
 */
export function parseDocument(bytes: Uint8Array): EvidenceDocument {
  if (bytes.length > maxContentBytes) throw new EvidenceError('evidence.too_large');
  const text = decodeUtf8(bytes);
  const value = text === undefined ? undefined : parseCanonicalObject(text);
  if (value === undefined) throw new EvidenceError('evidence.content_malformed', 'not canonical JSON');
  const { v, kind } = value;
  if (v !== 1 || typeof kind !== 'string' || !Object.hasOwn(kinds, kind)) {
    throw new EvidenceError('evidence.kind_unknown');
  }
  const isDocument = hasShape(value, {
    body: () => true,
    id: isUuid,
    kind: () => true,
    made: (made) => hasShape(made, { actor: isUuid, time: isTime }),
    names: isNames,
    origin: isOrigin,
    title: isLine,
    v: () => true,
  });
  if (!isDocument) throw new EvidenceError('evidence.content_malformed', 'members');
  if (!kinds[kind as KindId].isBody(value.body))
    throw new EvidenceError('evidence.content_malformed', 'body');
  return value as unknown as EvidenceDocument;
}

/** SHA-256 of the content, in hexadecimal: what the ledger's entry holds, and every page shows. */
export function documentHash(sha256: Sha256, content: Uint8Array): string {
  return hex(sha256(content));
}

/** The kind of a document, with its body in the kind's own type. */
export function kindOf({ kind, body }: Pick<EvidenceDocument, 'kind' | 'body'>): {
  kind: Kind;
  body: JsonObject;
} {
  return { kind: kinds[kind], body };
}

/** The entries of the log that the document quotes. */
export function listedEntries(document: Pick<EvidenceDocument, 'kind' | 'body'>): readonly ListedEntry[] {
  const { kind, body } = kindOf(document);
  return kind.listed(body);
}

function isNames(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const names = Object.entries(value);
  return names.length <= maxNames && names.every(([id, name]) => isUuid(id) && isLine(name));
}
