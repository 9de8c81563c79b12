import { randomUUID } from 'node:crypto';

/** A random UUID (RFC 9562 version 4), the form of every id here. */
export function newId(): string {
  return randomUUID();
}

/** The 16 bytes of a UUID, as formats bind them. */
export function idBytes(id: string): Uint8Array {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** The UUID of 16 bytes. */
export function idOfBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Stands where a place has no tenant: the instance itself. */
export const noTenant: Uint8Array = new Uint8Array(16);
