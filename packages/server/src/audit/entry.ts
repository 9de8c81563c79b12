import { createHash, randomBytes } from 'node:crypto';
import type { ErrorCode, Role, outcomes } from '@trialkeep/contract';
import {
  commitPayload,
  commitmentKeyBytes,
  openCompact,
  sealCompact,
  verifyPayload,
} from '@trialkeep/crypto';
import type { CompactKey } from '@trialkeep/crypto';
import { idBytes, newId } from '../platform/ids.ts';
import type { Recorded } from '../platform/implementation.ts';

export type Outcome = (typeof outcomes)[number];

/** An entry before it has its place and time; docs/formats/ledger-entry.md. */
export interface Draft {
  readonly operation: string;
  /** The credential that acted; absent for what the server noticed by itself. */
  readonly actor?: string;
  readonly role?: Role;
  readonly outcome: Outcome;
  readonly code?: ErrorCode;
  readonly recorded: Recorded;
}

/** A draft whose payload is sealed; only time and final outcome are open. */
export interface SealedDraft extends Draft {
  readonly id: string;
  /** HMAC over the payload, hex. */
  readonly commitment: string;
  /** SHA-256 of the payload's ciphertext, hex. */
  readonly payloadHash: string;
  readonly ciphertext: Uint8Array;
}

/** Binds a payload's ciphertext to its log and entry. */
function payloadContext(origin: string, entry: string): Record<string, string> {
  return { 'trialkeep:entry': entry, 'trialkeep:origin': origin };
}

/** The compact form's limit, less the blinding. */
const maxPayloadBytes = 65_000;

/** The payload as JSON; one that would not fit is replaced by its length and hash, since what happened must be recorded. */
function payloadBytes(payload: object): Buffer {
  const content = Buffer.from(JSON.stringify(payload), 'utf8');
  if (content.length <= maxPayloadBytes) return content;
  const sha256 = createHash('sha256').update(content).digest('hex');
  return Buffer.from(JSON.stringify({ omitted: { bytes: content.length, sha256 } }), 'utf8');
}

/** Seals the payload beside the entry, and commits the entry to it (design section 7). */
export function sealDraft(draft: Draft, origin: string, payload: object, key: CompactKey): SealedDraft {
  const id = newId();
  const blinding = randomBytes(commitmentKeyBytes);
  const content = payloadBytes(payload);
  const commitment = commitPayload(blinding, idBytes(id), content).toString('hex');
  const plaintext = Buffer.concat([blinding, content]);
  const ciphertext = sealCompact({ ...key, context: payloadContext(origin, id), plaintext });
  blinding.fill(0);
  plaintext.fill(0);
  const payloadHash = createHash('sha256').update(ciphertext).digest('hex');
  return { ...draft, id, commitment, payloadHash, ciphertext };
}

/** An opened payload: what shows that it is the one that the entry committed to. */
export interface OpenedPayload {
  /** JSON, byte for byte as it was committed to. */
  readonly content: string;
  /** 32 bytes: the key of the commitment. */
  readonly blinding: Uint8Array;
}

/** The payload, where it is the one that its entry committed to. Throws a CryptoError where it does not open. */
export function openSealed(
  parts: { origin: string; entry: string; commitment: string; ciphertext: Uint8Array },
  key: CompactKey,
): OpenedPayload | undefined {
  const context = payloadContext(parts.origin, parts.entry);
  const plaintext = openCompact({ ...key, context, ciphertext: parts.ciphertext });
  const content = plaintext.subarray(commitmentKeyBytes);
  const blinding = plaintext.subarray(0, commitmentKeyBytes);
  const committed = verifyPayload(
    Buffer.from(parts.commitment, 'hex'),
    blinding,
    idBytes(parts.entry),
    content,
  );
  const opened = { content: content.toString('utf8'), blinding: Uint8Array.from(blinding) };
  plaintext.fill(0);
  return committed ? opened : undefined;
}

/** The text of an entry around its time, which is known only once the entry has its place. */
export interface EntryText {
  readonly beforeTime: string;
  readonly afterTime: string;
}

/**
 * The entry as it is hashed, canonical JSON (RFC 8785), but for its time. The members stand in the order of their names and absent
 * ones are left out by JSON.stringify, whose strings and integers are the canonical ones; a test holds it to that. `denied` is
 * why the flush refused what had been a success until then.
 */
export function entryText(draft: SealedDraft, denied: ErrorCode | undefined): EntryText {
  const { recorded } = draft;
  const members = {
    actor: draft.actor,
    approval: recorded.approval,
    attested: recorded.attested && attestedMembers(recorded.attested),
    class: recorded.class,
    code: denied ?? draft.code,
    commitment: draft.commitment,
    credential: recorded.credential,
    dataKey: recorded.dataKey,
    destination: recorded.destination,
    dueAt: recorded.dueAt,
    entry: draft.id,
    gap: recorded.gap && { from: recorded.gap.from, to: recorded.gap.to },
    hash: recorded.hash,
    hold: recorded.hold,
    holder: recorded.holder,
    import: recorded.import,
    key: recorded.key,
    leaseSeconds: recorded.leaseSeconds,
    logKeys: recorded.logKeys && logKeyMembers(recorded.logKeys),
    material: recorded.material,
    object: recorded.object,
    operation: draft.operation,
    outcome: denied === undefined ? draft.outcome : 'refused',
    payload: draft.payloadHash,
    person: recorded.person,
    plan: recorded.plan,
    policy: recorded.policy,
    prunedBelow: recorded.prunedBelow,
    purpose: recorded.purpose,
    reason: recorded.reason,
    recipientPeriodDays: recorded.recipientPeriodDays,
    recipients: recorded.recipients,
    redacted: recorded.redacted,
    reporter: recorded.reporter,
    review: recorded.review,
    rewrap: recorded.rewrap,
    role: draft.role,
    root: recorded.root,
    rotationPeriodDays: recorded.rotationPeriodDays,
    session: recorded.session,
    signature: recorded.signature,
    size: recorded.size,
    source: recorded.source,
    state: recorded.state,
    study: recorded.study,
    subject: recorded.subject,
    system: recorded.system,
  };
  const useLogged = recorded.useLogged === true ? ',"useLogged":true' : '';
  const version = recorded.version === undefined ? '' : `,"version":${recorded.version}`;
  return {
    beforeTime: `${JSON.stringify(members).slice(0, -1)},"time":`,
    afterTime: `${useLogged},"v":1${version}}`,
  };
}

/** In the order of their names. */
function attestedMembers({ count, recipient, sequence, time, use }: NonNullable<Recorded['attested']>) {
  return { count, recipient, sequence, time, use };
}

/** In the order of their names. */
function logKeyMembers({ begins, ends, endsAt }: NonNullable<Recorded['logKeys']>) {
  return { begins, ends, endsAt };
}

/** The entry as it is hashed, at its time in milliseconds. */
export function entryBytes(draft: SealedDraft, time: number, denied: ErrorCode | undefined): Uint8Array {
  const { beforeTime, afterTime } = entryText(draft, denied);
  return Buffer.from(`${beforeTime}${time}${afterTime}`, 'utf8');
}

/** An entry read back. Only entries of this server's own database are parsed: their form is known. */
export interface Entry {
  readonly actor?: string;
  readonly approval?: string;
  readonly attested?: NonNullable<Recorded['attested']>;
  readonly class?: string;
  readonly code?: string;
  readonly commitment: string;
  readonly credential?: string;
  readonly destination?: string;
  readonly dueAt?: number;
  readonly entry: string;
  readonly hash?: string;
  readonly hold?: string;
  readonly holder?: string;
  readonly import?: string;
  readonly key?: string;
  readonly leaseSeconds?: number;
  readonly logKeys?: NonNullable<Recorded['logKeys']>;
  readonly material?: string;
  readonly object?: string;
  readonly operation: string;
  readonly outcome: Outcome;
  readonly payload: string;
  readonly person?: string;
  readonly plan?: string;
  readonly policy?: string;
  readonly purpose?: string;
  readonly reason?: string;
  readonly recipientPeriodDays?: number;
  readonly recipients?: readonly string[];
  readonly redacted?: string;
  readonly reporter?: string;
  readonly review?: string;
  readonly rewrap?: string;
  readonly root?: string;
  readonly rotationPeriodDays?: number;
  readonly session?: string;
  readonly signature?: string;
  readonly size?: number;
  readonly source?: string;
  readonly state?: string;
  readonly study?: string;
  readonly subject?: string;
  readonly system?: string;
  readonly time: number;
  readonly version?: number;
}

export function parseEntry(bytes: Uint8Array): Entry {
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry;
}
