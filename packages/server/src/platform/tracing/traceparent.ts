/** Who asks, as far as a trace goes: all three come from outside, and mean nothing but to whoever looks at traces. */
export interface RemoteParent {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  /** Whether the caller keeps its part of the trace. */
  readonly isSampled: boolean;
}

/** A later version of the format may be longer; nobody needs to send more. */
const maxLength = 128;
const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Reads the header `traceparent` (W3C Trace Context, section 3.2). Whatever is not exactly that is as if there was none, which section 4
 * asks for; `tracestate` and baggage are not read.
 */
export function parseTraceparent(header: unknown): RemoteParent | undefined {
  if (typeof header !== 'string' || header.length > maxLength) return undefined;
  const [, version, traceId, spanId, flags, more] = form.exec(header) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  // Version ff is forbidden, and version 00 ends behind the flags.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
