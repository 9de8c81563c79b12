import { Type } from 'typebox';
import type { Static } from 'typebox';

/** The bounds and shapes that several operations share. Every object is closed: an unknown field is refused. */
export const closed = { additionalProperties: false } as const;

export const uuid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
  description: 'UUID in lower case',
});
/** A subject's alias: 128 random bits, the only name under which the ledger and contexts know a participant. */
export const alias = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'Subject alias, 32 hex digits' });
/** Names of studies, systems and credentials. They are stored in clear: never a person's name or number. */
export const label = Type.String({ minLength: 1, maxLength: 200, pattern: '^[^\\u0000-\\u001f\\u007f]+$' });
/** Free text; kept only in encrypted payloads. */
export const reason = Type.String({ minLength: 1, maxLength: 2000, pattern: '^[^\\u0000]+$' });
/** Milliseconds since 1970-01-01T00:00:00Z, as the database's clock gives them. */
export const time = Type.Integer({
  minimum: 0,
  maximum: 8_640_000_000_000_000,
  description: 'Unix time, ms',
});
/**
 * Standard base64 with padding (RFC 4648 section 4), at most `maxBytes` bytes decoded; the unused bits of the last character are
 * zero (section 3.5), so that bytes have one encoding.
 */
export function base64(maxBytes: number, description: string) {
  return Type.String({
    pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$',
    maxLength: Math.ceil(maxBytes / 3) * 4,
    contentEncoding: 'base64',
    description,
  });
}

/**
 * The string pairs bound to a ciphertext as additional authenticated data. Four names have a meaning to Trialkeep and are
 * checked: `study` (its id), `subject` (an alias), `class` (the kind of record) and `purpose`. Values travel and lie in
 * clear in sealed files: aliases only, never an identifier.
 */
export const encryptionContext = Type.Record(
  Type.String({ pattern: '^[\\x21-\\x7e]{1,128}$' }),
  Type.String({ maxLength: 512 }),
  { ...closed, maxProperties: 16, description: 'Encryption context' },
);
export type EncryptionContext = Static<typeof encryptionContext>;

/** The context names that Trialkeep reads, and the pattern of each value. */
export const contextFields = {
  study: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  subject: /^[0-9a-f]{32}$/,
  class: /^[a-z0-9][a-z0-9-]{0,63}$/,
  purpose: /^[a-z0-9][a-z0-9-]{0,63}$/,
} as const;

/** What a person signs in with. In lower case, so that one name is one person. */
export const login = Type.String({
  pattern: '^[a-z0-9][a-z0-9._@+-]{1,99}$',
  description: 'Sign-in name, such as a mail address, in lower case',
});
/** A password as it was typed. Never recorded. */
export const password = Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000]+$' });
/** A one-time code of the person's generator (RFC 6238). Never recorded. */
export const oneTimeCode = Type.String({ pattern: '^[0-9]{6}$', description: 'One-time code, 6 digits' });
/** SHA-256 in hexadecimal. */
export const sha256Hex = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256, hexadecimal' });
/** The two components of an electronic signature (21 CFR 11.200(a)(1)). */
export const signatureComponents = Type.Object({ password, code: oneTimeCode }, closed);

/** Where the next page begins; opaque. */
export const cursor = Type.String({ maxLength: 200, pattern: '^[A-Za-z0-9_-]+$' });
export const nextCursor = Type.Union([cursor, Type.Null()], { description: 'null on the last page' });
