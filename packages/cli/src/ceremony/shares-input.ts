import { CryptoError, parseShare } from '@trialkeep/crypto';
import type { Share } from '@trialkeep/crypto';
import { CliError } from '../errors.ts';
import { askHidden } from '../input.ts';
import { readStdin, textOf } from '../io.ts';
import type { Io } from '../io.ts';
import { printError } from '../output.ts';

/** Longest standard input with shares that is read, bytes. */
const maxSharesBytes = 8000;

/**
 * As many shares as their set needs: asked for one after another on a terminal, without showing them; otherwise the lines of standard
 * input. Somebody who mistypes is told so, and asked again.
 *
 * @returns the texts
 * @throws CliError `cli.ceremony_abandoned` for an empty line on a terminal, `cli.input_…`; CryptoError `crypto.share_…`
 */
export async function readShareTexts(io: Io): Promise<string[]> {
  if (io.stdin.isTTY !== true) {
    const lines = textOf(await readStdin(io, maxSharesBytes)).split(/\r?\n/);
    const texts = lines.filter((line) => line.trim() !== '');
    if (texts.length === 0) throw new CliError('cli.input_empty');
    for (const text of texts) parseShare(text).value.fill(0);
    return texts;
  }
  const given = new Map<number, string>();
  for (let needed = 1; given.size < needed;) {
    const { text, share } = await askShare(
      io,
      `Share ${given.size + 1} of ${needed === 1 ? 'those needed' : needed}: `,
    );
    needed = share.threshold;
    if (given.has(share.index)) io.stderr.write(`Share ${share.index} was given already.\n`);
    given.set(share.index, text);
  }
  return [...given.values()];
}

/** One share from the person at the terminal, who does not see it; asked again where it has not the form of one. */
export async function askShare(io: Io, question: string): Promise<{ text: string; share: Share }> {
  for (;;) {
    const text = await askHidden(io, question);
    if (text.trim() === '') throw new CliError('cli.ceremony_abandoned');
    try {
      return { text, share: parseShare(text) };
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      printError(io, {}, error);
    }
  }
}
