import { payloadStates } from '@trialkeep/contract';
import { parseCanonicalObject, hasShape, isUuid } from '@trialkeep/ledger';

type State = (typeof payloadStates)[number];

/** A line of an export's file of payloads (docs/formats/ledger-entry.md). */
export type PayloadLine = { readonly index: number; readonly entry: string } & (
  | {
      readonly state: 'open';
      /** JSON, byte for byte as it was committed to. */
      readonly content: string;
      /** The key of the commitment, base64, 32 bytes. */
      readonly blinding: string;
    }
  | { readonly state: Exclude<State, 'open'> }
);

/** Canonical JSON: the members stand in the order of their names. */
export function formatPayloadLine(line: PayloadLine): string {
  const { index, entry, state } = line;
  const opened = state === 'open' ? { blinding: line.blinding, content: line.content } : {};
  return `${JSON.stringify({ ...opened, entry, index, state })}\n`;
}

/** A line without its line feed; undefined where it is none. */
export function parsePayloadLine(text: string): PayloadLine | undefined {
  const line = parseCanonicalObject(text);
  if (line === undefined) return undefined;
  const isOpen = line['state'] === 'open';
  const fits = hasShape(line, {
    ...(isOpen && { blinding: isBlinding, content: (value) => typeof value === 'string' }),
    entry: isUuid,
    index: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
    state: (value) => payloadStates.some((state) => state === value),
  });
  return fits ? (line as unknown as PayloadLine) : undefined;
}

/** Base64 of 32 bytes in its one form. */
function isBlinding(value: unknown): boolean {
  if (typeof value !== 'string' || value.length !== 44) return false;
  const bytes = Buffer.from(value, 'base64');
  return bytes.length === 32 && bytes.toString('base64') === value;
}
