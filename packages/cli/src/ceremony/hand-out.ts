import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  commitToSecret,
  dataKeyBytes,
  formatShare,
  parseEscrowRecipient,
  parseShare,
  sealBytes,
  shareFingerprint,
  sharedSecretBytes,
  splitSecret,
} from '@trialkeep/crypto';
import type { Share, ShareSizes } from '@trialkeep/crypto';
import { systemCode } from '@trialkeep/sdk/files';
import { CliError } from '../errors.ts';
import { ask } from '../input.ts';
import type { Io } from '../io.ts';
import { printableName } from '../output.ts';
import { askShare } from './shares-input.ts';

/** How a custodian's share was tested. */
export interface Confirmed {
  readonly index: number;
  readonly by: string;
  readonly how: 'typed' | 'file' | 'sealed';
}

/** A new set of shares that custodians have: as they have given it back. */
export interface HandedOut {
  readonly shares: readonly string[];
  readonly commitment: string;
  readonly confirmed: readonly Confirmed[];
}

export interface HandOutOptions extends ShareSizes {
  /** Names in the order of the shares; asked for on a terminal where there are none. */
  readonly custodians: readonly string[];
  /** Files take the place of the terminal. */
  readonly sharesDir?: string | undefined;
  /** Public files of escrow pairs, one for each share: what is written is sealed to them. */
  readonly recipients: readonly string[];
}

/** Leaves the page, which is no part of the scrollback, and comes back from it with nothing of it left. */
const page = { open: '\u001b[?1049h\u001b[2J\u001b[H', close: '\u001b[2J\u001b[3J\u001b[H\u001b[?1049l' };
const groupsInLine = 6;

/**
 * Makes a secret, splits it, and hands each custodian one share, once. The secret is forgotten; what comes back is what the custodians
 * have given back.
 *
 * @throws CliError `cli.ceremony_…`, `cli.shares_file`; CryptoError for a recipient's file
 */
export async function handOut(io: Io, options: HandOutOptions): Promise<HandedOut> {
  const { sharesDir, custodians, recipients, count } = options;
  const isTerminal = io.stdin.isTTY === true && io.stderr.isTTY === true;
  if (sharesDir === undefined && !isTerminal) throw new CliError('cli.ceremony_terminal');
  const areNamed = custodians.length === count || (custodians.length === 0 && sharesDir === undefined);
  const areSealed = recipients.length === count || recipients.length === 0;
  if (!areNamed || !areSealed || (sharesDir === undefined && recipients.length > 0)) {
    throw new CliError('cli.ceremony_people');
  }
  const secret = randomBytes(sharedSecretBytes);
  const shares = splitSecret(secret, options);
  const commitment = commitToSecret(secret, shares[0]?.set ?? '');
  secret.fill(0);
  const texts: string[] = [];
  const confirmed: Confirmed[] = [];
  try {
    for (const [i, share] of shares.entries()) {
      const by =
        custodians[i] ?? (await askName(io, `Name of the custodian of share ${share.index} of ${count}: `));
      const { text, how } =
        sharesDir === undefined
          ? await showOnce(io, share, by)
          : await writeShare(share, { folder: sharesDir, by, recipient: recipients[i] });
      texts.push(text);
      confirmed.push({ index: share.index, by, how });
    }
  } finally {
    for (const { value } of shares) value.fill(0);
  }
  return { shares: texts, commitment, confirmed };
}

/** Whether minutes take it as the name or the role of somebody: one line of printable text, 1 to 200 characters. */
export function isName(text: string): boolean {
  const isLine = text.isWellFormed() && /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,200}$/u.test(text);
  return isLine && text.trim() === text && text.length <= 200 && printableName(text) === text;
}

/** A name of somebody; asked again while it is none. */
export async function askName(io: Io, question: string): Promise<string> {
  for (;;) {
    const name = (await ask(io, question)).trim();
    if (isName(name)) return name;
  }
}

async function showOnce(io: Io, share: Share, by: string): Promise<{ text: string; how: 'typed' }> {
  const { index, count } = share;
  await ask(io, `${by}: when nobody else sees the screen, press Enter to see share ${index} of ${count}. `);
  io.stderr.write(
    `${page.open}Share ${index} of ${count}, for ${by}. It is shown this once. Write all of it down:\n\n`,
  );
  io.stderr.write(`${lines(formatShare(share))}\n\n`);
  try {
    await ask(io, 'When you have it, press Enter: the screen is cleared. ');
  } finally {
    io.stderr.write(page.close);
  }
  for (;;) {
    const question = `${by}: type share ${index} from what you wrote down (not shown; an empty line abandons the ceremony): `;
    const given = await askShare(io, question);
    const isRight = shareFingerprint(given.share) === shareFingerprint(share);
    given.share.value.fill(0);
    if (isRight) return { text: given.text, how: 'typed' };
    io.stderr.write('That is another share.\n');
  }
}

/** The text in lines that people can follow with a finger; each group stands under its number. */
function lines(text: string): string {
  const [prefix = '', ...groups] = text.split('-');
  const rows: string[] = [];
  for (let at = 0; at < groups.length; at += groupsInLine) {
    const some = groups.slice(at, at + groupsInLine);
    rows.push(`        ${some.map((_, i) => String(at + i + 1).padStart(4)).join('   ')}`);
    rows.push(`  ${at === 0 ? prefix : '    '}  ${some.join(' - ')}`);
  }
  return rows.join('\n');
}

async function writeShare(
  share: Share,
  { folder, by, recipient }: { folder: string; by: string; recipient: string | undefined },
): Promise<{ text: string; how: 'file' | 'sealed' }> {
  const text = formatShare(share);
  const path = join(folder, `share-${share.index}.${recipient === undefined ? 'txt' : 'sealed'}`);
  const content = recipient === undefined ? Buffer.from(`${text}\n`) : await sealedTo(recipient, text, by);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    const back = await readFile(path);
    if (!back.equals(content)) throw new CliError('cli.shares_file', { path, detail: 'it reads otherwise' });
    if (recipient === undefined) parseShare(back.toString('utf8')).value.fill(0);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError('cli.shares_file', { path, detail: systemCode(cause), cause });
  }
  return { text, how: recipient === undefined ? 'file' : 'sealed' };
}

/** A sealed message for the owner of an escrow pair, who opens it with `trialkeep open --identity`. */
async function sealedTo(recipientFile: string, text: string, by: string): Promise<Buffer> {
  const { recipient } = await parseEscrowRecipient(await readFile(recipientFile, 'utf8'));
  const context = { purpose: 'key-ceremony', custodian: by };
  const dataKey = randomBytes(dataKeyBytes);
  try {
    const encryptedDataKeys = [await recipient.wrap(dataKey, context)];
    return await sealBytes(Buffer.from(`${text}\n`), { dataKey, encryptedDataKeys, context });
  } finally {
    dataKey.fill(0);
  }
}
