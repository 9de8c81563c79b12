import { concatBytes, decodeBase64, decodeUtf8, encodeBase64, equalBytes } from './bytes.ts';
import { LedgerError } from './errors.ts';
import type { Sha256 } from './merkle.ts';

/** Limits on notes, which come from outside. The specification asks for 16 signatures at least. */
export const maxNoteBytes = 1 << 20;
export const maxNoteSignatures = 64;

/**
 * A key that is trusted to sign notes. `keyId` is the big-endian uint32 of the signed-note specification.
 * `verify` says whether `signature` (the bytes behind the key id) is this key's over `text`, the note text in
 * UTF-8; it answers false rather than throw, whatever the signature's length.
 */
export type Verifier = {
  readonly name: string;
  readonly keyId: number;
  verify(text: Uint8Array, signature: Uint8Array): boolean | Promise<boolean>;
};

/** A key that signs notes. `sign` gives the bytes behind the key id for the note text in UTF-8. */
export type Signer = {
  readonly name: string;
  readonly keyId: number;
  sign(text: Uint8Array): Uint8Array | Promise<Uint8Array>;
};

/** One signature line. `keyId` 0 to 2^32-1; `signature` at least one byte; neither is trusted. */
export type NoteSignature = { readonly name: string; readonly keyId: number; readonly signature: Uint8Array };

export type Note = { readonly text: string; readonly signatures: readonly NoteSignature[] };

/**
 * A public key as a verifier key line states it. `type` is the signature type byte of the signed-note
 * specification.
 */
export type VerifierKey = {
  readonly name: string;
  readonly keyId: number;
  readonly type: number;
  readonly publicKey: Uint8Array;
};

/** Signature types with a public key of fixed length, in bytes. */
const publicKeyBytes: ReadonlyMap<number, number> = new Map([
  [0x01, 32], // Ed25519
  [0x04, 32], // Ed25519 cosignature with a time
  [0x06, 1312], // ML-DSA-44 cosignature with a time
]);

/**
 * SHA-256(name ‖ 0x0A ‖ type ‖ public key), its first four bytes as a big-endian number (C2SP signed-note).
 */
export function keyId(sha256: Sha256, name: string, type: number, publicKey: Uint8Array): number {
  const preimage = concatBytes(
    new TextEncoder().encode(`${checkedName(name)}\n`),
    Uint8Array.of(type),
    publicKey,
  );
  return readKeyId(sha256(preimage));
}

/** The verifier key line: `name+hex(key id)+base64(type ‖ public key)` (C2SP signed-note). */
export function formatVerifierKey(sha256: Sha256, name: string, type: number, publicKey: Uint8Array): string {
  const id = keyId(sha256, name, type, publicKey);
  return `${name}+${hexKeyId(id)}+${encodeBase64(concatBytes(Uint8Array.of(type), publicKey))}`;
}

/**
 * The inverse of `formatVerifierKey`. Throws `ledger.key_malformed` for anything that it does not produce.
 */
export function parseVerifierKey(sha256: Sha256, verifierKey: string): VerifierKey {
  const match =
    verifierKey.length <= 8192 ? /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(verifierKey) : null;
  const [, name = '', hexId = '', base64 = ''] = match ?? [];
  const material = decodeBase64(base64);
  if (!isKeyName(name) || material === undefined || material.length < 2) {
    throw new LedgerError('ledger.key_malformed');
  }
  const type = material[0] ?? 0;
  const publicKey = material.slice(1);
  const id = keyId(sha256, name, type, publicKey);
  if (publicKey.length !== (publicKeyBytes.get(type) ?? publicKey.length)) {
    throw new LedgerError('ledger.key_malformed', 'length of the public key');
  }
  if (hexKeyId(id) !== hexId) throw new LedgerError('ledger.key_malformed', 'key id');
  return { name, keyId: id, type, publicKey };
}

/** Reads a signed note without believing it. Throws `ledger.note_size` or `ledger.note_malformed`. */
export function parseNote(note: Uint8Array): Note {
  if (note.length > maxNoteBytes) throw new LedgerError('ledger.note_size');
  const content = decodeUtf8(note);
  if (content === undefined || !isNoteContent(content)) {
    throw new LedgerError(
      'ledger.note_malformed',
      'not UTF-8, or a control character such as a carriage return',
    );
  }
  const blankLine = content.lastIndexOf('\n\n');
  if (blankLine < 0 || !content.endsWith('\n'))
    throw new LedgerError('ledger.note_malformed', 'no blank line');
  return {
    text: content.slice(0, blankLine + 1),
    signatures: signaturesOf(content.slice(blankLine + 2)),
  };
}

/**
 * The text of a note and those of `verifiers` that signed it, at least one. Signatures by other keys are
 * ignored; one of a known key that does not verify rejects the note (`ledger.note_signature`), as does none
 * by a known key (`ledger.note_unsigned`).
 */
export async function openNote(
  note: Uint8Array,
  verifiers: readonly Verifier[],
): Promise<{ text: string; signedBy: Verifier[] }> {
  const { text, signatures } = parseNote(note);
  const textBytes = new TextEncoder().encode(text);
  const signedBy = new Set<Verifier>();
  for (const { name, keyId, signature } of signatures) {
    const verifier = verifiers.find((known) => known.name === name && known.keyId === keyId);
    if (verifier === undefined) continue;
    if (!(await verifier.verify(textBytes, signature))) throw new LedgerError('ledger.note_signature');
    signedBy.add(verifier);
  }
  if (signedBy.size === 0) throw new LedgerError('ledger.note_unsigned');
  return { text, signedBy: [...signedBy] };
}

/** A note over `text`, which ends in a newline, signed by each of `signers`, at least one. */
export async function signNote(text: string, signers: readonly Signer[]): Promise<Uint8Array> {
  if (!text.endsWith('\n') || !text.isWellFormed() || !isNoteContent(text)) {
    throw new LedgerError('ledger.note_malformed', 'text');
  }
  if (signers.length === 0) throw new LedgerError('ledger.note_unsigned');
  const textBytes = new TextEncoder().encode(text);
  const signatures: NoteSignature[] = [];
  for (const signer of signers) {
    const { name, keyId } = signer;
    signatures.push({ name, keyId, signature: await signer.sign(textBytes) });
  }
  return concatBytes(textBytes, Uint8Array.of(0x0a), formatSignatures(signatures));
}

/** Signature lines, each `— <name> base64(key id ‖ signature)` and a newline (C2SP signed-note). */
export function formatSignatures(signatures: readonly NoteSignature[]): Uint8Array {
  const lines = signatures.map(({ name, keyId: id, signature }) => {
    const idBytes = Uint8Array.of(id >>> 24, id >>> 16, id >>> 8, id);
    return `— ${checkedName(name)} ${encodeBase64(concatBytes(idBytes, signature))}\n`;
  });
  return new TextEncoder().encode(lines.join(''));
}

/**
 * Signature lines as a witness answers with them, at least one. Nothing about them is verified. Throws
 * `ledger.note_size` or `ledger.note_malformed`.
 */
export function parseSignatures(lines: Uint8Array): NoteSignature[] {
  if (lines.length > maxNoteBytes) throw new LedgerError('ledger.note_size');
  const content = decodeUtf8(lines);
  if (content === undefined || !isNoteContent(content) || !content.endsWith('\n')) {
    throw new LedgerError('ledger.note_malformed', 'not lines in UTF-8');
  }
  return signaturesOf(content);
}

/**
 * A note with more signature lines behind those that it has, verbatim; a line that it has already is not added
 * again. Verify them before. Throws `ledger.note_size` or `ledger.note_malformed`.
 */
export function addSignatures(note: Uint8Array, signatures: readonly NoteSignature[]): Uint8Array {
  const known = parseNote(note).signatures;
  const added = signatures.filter((one) => !known.some((other) => isSameSignature(one, other)));
  const whole = concatBytes(note, formatSignatures(added));
  parseNote(whole);
  return whole;
}

function isSameSignature(a: NoteSignature, b: NoteSignature): boolean {
  return a.name === b.name && a.keyId === b.keyId && equalBytes(a.signature, b.signature);
}

/** The signatures in the lines of `content`, which ends in a newline. */
function signaturesOf(content: string): NoteSignature[] {
  const lines = content.split('\n');
  lines.pop();
  if (lines.length === 0) throw new LedgerError('ledger.note_malformed', 'no signature');
  if (lines.length > maxNoteSignatures) throw new LedgerError('ledger.note_size');
  return lines.map(parseSignatureLine);
}

function parseSignatureLine(line: string): NoteSignature {
  const [dash, name = '', base64 = '', ...more] = line.split(' ');
  const bytes = decodeBase64(base64);
  if (dash !== '—' || more.length > 0 || !isKeyName(name) || bytes === undefined || bytes.length < 5) {
    throw new LedgerError('ledger.note_malformed', 'signature line');
  }
  return { name, keyId: readKeyId(bytes), signature: bytes.slice(4) };
}

function readKeyId(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
}

function hexKeyId(id: number): string {
  return id.toString(16).padStart(8, '0');
}

function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\p{White_Space}\u0000-\u001f+]/u.test(name);
}

function checkedName(name: string): string {
  if (!isKeyName(name)) throw new LedgerError('ledger.key_name');
  return name;
}

/** Whether no ASCII control character other than newline is in `text`. */
function isNoteContent(text: string): boolean {
  return !/[\u0000-\u0009\u000b-\u001f]/.test(text);
}
