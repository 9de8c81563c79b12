import type { KeyPlace } from '@trialkeep/crypto';

/** Names root and place of a wrapped key, for a service that authenticates and logs it. No value identifies a person. */
export type RootContext = Readonly<Record<string, string>>;

/** The pairs of docs/formats/cloud-root-wrap.md, in their order. @param rootId `id` of root.json */
export function rootContext(rootId: string, place: KeyPlace): RootContext {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    'trialkeep:key': hex(place.keyId),
    'trialkeep:kind': place.kind,
    'trialkeep:purpose': place.purpose,
    'trialkeep:root': rootId,
    'trialkeep:tenant': hex(place.tenantId),
    'trialkeep:version': hex(place.versionId),
  };
}

/** The pairs as bytes: `u16 length ‖ key ‖ u16 length ‖ value` for each. */
export function encodeRootContext(context: RootContext): Buffer {
  const parts = Object.entries(context).flatMap((pair) =>
    pair.flatMap((text) => {
      const bytes = Buffer.from(text, 'utf8');
      const length = Buffer.alloc(2);
      length.writeUInt16BE(bytes.length);
      return [length, bytes];
    }),
  );
  return Buffer.concat(parts);
}
