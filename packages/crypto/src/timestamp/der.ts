import { CryptoError } from '../errors.ts';

/** Tags of the universal and context-specific types that are read here (X.690 section 8.1.2). */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** A context-specific type; a constructed one unless it stands for a primitive type. */
export function contextTag(number: number, form: 'constructed' | 'primitive' = 'constructed'): number {
  return (form === 'constructed' ? 0xa0 : 0x80) | number;
}

/** One element: its type, its content, and all of its bytes as they came. */
export interface Element {
  readonly type: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

/** Nesting and elements of a whole document; a token with its certificates has about 20 levels and 500 elements. */
const maxDepth = 32;
const maxElements = 8192;

export function malformed(what: string): CryptoError {
  return new CryptoError('crypto.timestamp_malformed', what);
}

/**
 * Reads the distinguished encoding (X.690 section 10) and nothing else: definite lengths in their shortest form, tags of one byte. The
 * bytes may be anybody's; every failure is a CryptoError `crypto.timestamp_malformed`.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  /** @param what names what is read, for the error */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The next element, which must have one of these tags; any where none is given. */
  next(...allowed: readonly number[]): Element {
    const start = this.#at;
    const type = this.#byte();
    if ((type & 0x1f) === 0x1f) throw malformed(`${this.#what}: long tag`);
    if (allowed.length > 0 && !allowed.includes(type)) throw malformed(`${this.#what}: tag ${type}`);
    const length = this.#length();
    if (length > this.#bytes.length - this.#at) throw malformed(`${this.#what}: cut off`);
    const content = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { type, content, whole: this.#bytes.subarray(start, this.#at) };
  }

  /** The next element where it has that type. */
  optional(type: number): Element | undefined {
    return this.#bytes[this.#at] === type ? this.next(type) : undefined;
  }

  /** A reader of the content of the next element, which must have that type. */
  inside(type: number): DerReader {
    return new DerReader(this.next(type).content, this.#what);
  }

  optionalInside(type: number): DerReader | undefined {
    const element = this.optional(type);
    return element && new DerReader(element.content, this.#what);
  }

  /** Everything that is left, one element after the other. */
  *rest(type: number): Generator<Element, void, undefined> {
    while (!this.isAtEnd) yield this.next(type);
  }

  end(): void {
    if (!this.isAtEnd) throw malformed(`${this.#what}: more than it holds`);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw malformed(`${this.#what}: cut off`);
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw malformed(`${this.#what}: length`);
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    const shortest = length < 0x80 ? 0 : Math.ceil(Math.log2(length + 1) / 8);
    if (shortest !== count) throw malformed(`${this.#what}: length`);
    return length;
  }
}

/** The content of the one element that these bytes are. */
export function readOnly(bytes: Uint8Array, type: number, what: string): DerReader {
  const outer = new DerReader(bytes, what);
  const inner = outer.inside(type);
  outer.end();
  return inner;
}

/** Refuses a document any part of which, looked at or not, is not nested elements in their shortest form. */
export function requireDer(bytes: Uint8Array, what: string): void {
  let elements = 0;
  const walk = (part: Uint8Array, depth: number): void => {
    const reader = new DerReader(part, what);
    while (!reader.isAtEnd) {
      const { type, content } = reader.next();
      if (++elements > maxElements || depth > maxDepth) throw malformed(`${what}: too much in it`);
      if ((type & 0x20) !== 0) walk(content, depth + 1);
    }
  };
  walk(bytes, 0);
}

/** An OBJECT IDENTIFIER as dotted numbers (X.690 section 8.19). */
export function readOid({ content }: Element): string {
  const arcs: number[] = [];
  let arc = 0;
  let isFirst = true;
  for (const byte of content) {
    if (isFirst && byte === 0x80) throw malformed('object identifier');
    arc = arc * 128 + (byte & 0x7f);
    if (arc > Number.MAX_SAFE_INTEGER / 128) throw malformed('object identifier');
    isFirst = (byte & 0x80) === 0;
    if (!isFirst) continue;
    if (arcs.length === 0)
      arcs.push(Math.min(2, Math.floor(arc / 40)), arc - 40 * Math.min(2, Math.floor(arc / 40)));
    else arcs.push(arc);
    arc = 0;
  }
  if (!isFirst || arcs.length === 0 || content.length > 32) throw malformed('object identifier');
  return arcs.join('.');
}

/** The content of an INTEGER that is not negative, without its sign byte, at most `maxBytes` long; zero is one zero byte. */
export function readUnsigned({ content }: Element, maxBytes: number): Uint8Array {
  const [first, second = 0] = content;
  if (first === undefined || first >= 0x80) throw malformed('integer');
  if (first === 0 && content.length > 1 && second < 0x80) throw malformed('integer');
  const magnitude = first === 0 && content.length > 1 ? content.subarray(1) : content;
  if (magnitude.length > maxBytes) throw malformed('integer');
  return magnitude;
}

/** A small INTEGER that is not negative. */
export function readNumber(element: Element): number {
  return readUnsigned(element, 4).reduce((value, byte) => value * 256 + byte, 0);
}

/** A BIT STRING of whole bytes. */
export function readBits({ content }: Element): Uint8Array {
  if (content[0] !== 0) throw malformed('bit string');
  return content.subarray(1);
}

/** TRUE; in the distinguished encoding a default FALSE is absent. */
export function readTrue({ content }: Element): true {
  if (content.length !== 1 || content[0] !== 0xff) throw malformed('boolean');
  return true;
}

/** A UTCTime or GeneralizedTime in the forms of RFC 5280 section 4.1.2.5 and RFC 3161 section 2.4.2; milliseconds, cut off below. */
export function readTime({ type, content }: Element): number {
  const text = String.fromCharCode(...content.subarray(0, 64));
  const short = type === tags.utcTime;
  const pattern = short
    ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
    : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{0,8}[1-9]))?Z$/;
  const match = pattern.exec(text);
  if (match === null || content.length > 64) throw malformed('time');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const full = short ? year + (year < 50 ? 2000 : 1900) : year;
  const whole = Date.UTC(full, month - 1, day, hour, minute, second);
  const again = new Date(whole).toISOString().replace(/\D/g, '').slice(0, 14);
  if (again !== `${full}${text.slice(short ? 2 : 4, short ? 12 : 14)}`) throw malformed('time');
  return whole + Math.floor(Number(`0.${match[7] ?? 0}`) * 1000);
}

/** Whether two pieces of encoding are the same. Nothing of it is secret. */
export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Encodes one element around parts that are encoded already. */
export function encodeElement(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [type];
  if (length < 0x80) head.push(length);
  else if (length < 0x100) head.push(0x81, length);
  else if (length < 0x10000) head.push(0x82, length >> 8, length & 0xff);
  else throw new CryptoError('crypto.argument_invalid', 'element');
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  let at = head.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Encodes an OBJECT IDENTIFIER of arcs below 2³¹. */
export function encodeOid(oid: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = oid.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const septets = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      septets.unshift(0x80 | (left & 0x7f));
    }
    return septets;
  });
  return encodeElement(tags.objectIdentifier, Uint8Array.from(bytes));
}
