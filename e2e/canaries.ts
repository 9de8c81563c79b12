import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesIn } from './folder.ts';
import { processTree } from './harness.ts';

/** Something that may be found nowhere, or in one place only. */
export interface Canary {
  readonly name: string;
  readonly secret: string | Uint8Array;
  /** The only places where it may be, by the end of their names. */
  readonly allowedIn?: readonly string[];
  /** Short enough to stand in longer numbers and names by chance: as it is, it counts only with neither beside it. */
  readonly alone?: true;
}

/** Bytes that the system wrote or shows, under a name. */
export type Place = readonly [name: string, bytes: Uint8Array];

/** The whole characters that base64 has for these bytes, wherever they stand among others. */
function base64Forms(bytes: Uint8Array, encoding: 'base64' | 'base64url'): Buffer[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString(encoding)
      .replaceAll('=', '');
    const whole = Math.floor(((before + bytes.length) * 8) / 6);
    return Buffer.from(text.slice(Math.ceil((before * 8) / 6), whole));
  });
}

/** Every form in which a secret could lie somewhere. */
export function formsOf(secret: Canary['secret']): Buffer[] {
  const bytes = Buffer.from(secret as string);
  const forms = [
    bytes,
    Buffer.from(bytes.toString('hex')),
    Buffer.from(bytes.toString('hex').toUpperCase()),
    ...base64Forms(bytes, 'base64'),
    ...base64Forms(bytes, 'base64url'),
  ];
  if (typeof secret === 'string') {
    const utf16 = Buffer.from(secret, 'utf16le');
    const escaped = secret.replaceAll(
      /[^\x20-\x7e]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    forms.push(
      utf16,
      Buffer.from(utf16).swap16(),
      Buffer.from(escaped),
      Buffer.from(encodeURIComponent(secret)),
    );
  } else {
    // What is not text is carried as base64 or hex, and those as text of either width.
    for (const form of forms.slice(1)) forms.push(Buffer.from(form.toString('latin1'), 'utf16le'));
  }
  const distinct = new Map(forms.map((form) => [form.toString('latin1'), form]));
  return [...distinct.values()];
}

/** Whether a form stands in the content; `alone`: with no letter, digit or point beside it. */
function contains(content: Buffer, form: Buffer, alone: boolean): boolean {
  if (!alone) return content.includes(form);
  const isOfWord = (byte: number | undefined): boolean =>
    byte !== undefined && /[0-9A-Za-z.]/.test(String.fromCharCode(byte));
  for (let at = content.indexOf(form); at >= 0; at = content.indexOf(form, at + 1)) {
    if (!isOfWord(content[at - 1]) && !isOfWord(content[at + form.length])) return true;
  }
  return false;
}

/** Where canaries are found although they may not be there. */
export function sightings(canaries: readonly Canary[], places: Iterable<Place>): string[] {
  const wanted = canaries.map((canary) => ({ ...canary, forms: formsOf(canary.secret) }));
  const found: string[] = [];
  for (const [place, bytes] of places) {
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const { name, forms, allowedIn = [], alone = false } of wanted) {
      if (allowedIn.some((allowed) => place.endsWith(allowed))) continue;
      // The first form is the canary as it is.
      const isThere = forms.some((form, index) => contains(content, form, alone && index === 0));
      if (isThere) found.push(`${name} in ${place}`);
    }
  }
  return found;
}

/** Every byte of every file of a folder, and the names of the files. */
export function* placesIn(folder: string): Generator<Place> {
  for (const name of filesIn(folder)) {
    yield [`the name of ${name}`, Buffer.from(name)];
    yield [join(folder, name), readFileSync(join(folder, name))];
  }
}

/** What anybody sees of processes while they run: their command lines and, as their own account, their environments. */
export class ProcessWatch {
  readonly #seen = new Map<string, Place>();
  readonly #timers: NodeJS.Timeout[] = [];

  /** Looks at the process, and at those that it starts, until it ends. */
  follow(processId: number): void {
    const timer = setInterval(() => {
      if (!this.look(processId)) clearInterval(timer);
    }, 2);
    this.#timers.push(timer);
    this.look(processId);
  }

  /** One look; false where there is no such process any more. */
  look(processId: number): boolean {
    let alive = false;
    for (const id of processTree(processId)) {
      for (const part of ['cmdline', 'environ']) {
        try {
          const bytes = readFileSync(`/proc/${id}/${part}`);
          alive = true;
          this.#seen.set(`${part} ${bytes.toString('latin1')}`, [`${part} of a process`, bytes]);
        } catch {
          // It has ended meanwhile, or the system does not show it.
        }
      }
    }
    return alive;
  }

  /** Everything seen so far. */
  get places(): Place[] {
    return [...this.#seen.values()];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
